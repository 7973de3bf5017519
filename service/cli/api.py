"""The front door as the commands see it: the client, with what it raises as a Failure.

Told that there is too much to do, a command waits for as long as it takes; told to
wait for ten minutes at once (a quota, mostly), it gives up.
"""

import math
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

from service.cli.failure import Failure
from service.cli.output import say as say_it
from service.cli.target import Target
from service.client import AsyncDarkroom, DarkroomError, Refused


@asynccontextmanager
async def connected(
    target: Target,
    *,
    patience_s: float,
    connections: int = 10,
    say: Callable[[str], None] = say_it,
) -> AsyncIterator[AsyncDarkroom]:
    """Yield a client of one front door.

    Args:
        target: Which, and the key.
        patience_s: How long it may be away before a call gives up.
        connections: How many calls may be under way at once.
        say: Is told, now and then, why nothing goes on.

    Raises:
        Failure: It said no, or was away too long.
    """
    client = AsyncDarkroom(
        target.url,
        target.key,
        patience_s=patience_s,
        busy_s=math.inf,
        say=say,
        connections=connections,
    )
    try:
        async with client:
            yield client
    except Refused as exc:
        who = f"{urlsplit(target.url).netloc} says" if exc.may_pass else exc.code
        raise Failure(f"{who}: {exc}") from exc
    except DarkroomError as exc:
        raise Failure(str(exc)) from exc
