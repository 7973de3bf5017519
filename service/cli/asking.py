"""One question to the front door, in a loop of its own.

What asks must not import the client before that: httpx is most of what takes time.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from service.cli.output import say as say_it
from service.cli.target import Target, find_target

if TYPE_CHECKING:
    from service.client import AsyncDarkroom

_T = TypeVar("_T")

_PATIENCE_S = 5.0
_LONG_PATIENCE_S = 600.0
_CONNECTIONS = 32


def ask(
    url: str | None,
    data_dir: Path | None,
    work: Callable[["AsyncDarkroom"], Awaitable[_T]],
) -> _T:
    """Connect, do the work and hang up.

    Raises:
        Failure: There is no front door, or it said no.
    """
    from service.cli.api import connected

    target = find_target(url, data_dir)

    async def asked() -> _T:
        async with connected(target, patience_s=_PATIENCE_S) as client:
            return await work(client)

    return asyncio.run(asked())


@asynccontextmanager
async def staying(
    target: Target, *, say: Callable[[str], None] = say_it
) -> AsyncIterator["AsyncDarkroom"]:
    """Yield a client for work that takes hours, over which the front door may go away.

    A wrong URL or key is told at once all the same, not after ten minutes.

    Raises:
        Failure: It said no, or was away too long.
    """
    from service.cli.api import connected

    async with connected(target, patience_s=_PATIENCE_S) as first:
        _ = [job async for job in first.jobs(limit=1)]
    opened = connected(
        target, patience_s=_LONG_PATIENCE_S, connections=_CONNECTIONS, say=say
    )
    async with opened as client:
        yield client
