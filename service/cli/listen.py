"""`darkroom listen`: webhooks for a program that the internet cannot reach.

Nothing has to be registered: the events are followed from here, and forwarded as a
webhook would have come, under a signature of this command's own.
"""

import asyncio
import base64
import hmac
from collections.abc import Sequence
from typing import Annotated

import typer

from service.cli.asking import staying
from service.cli.context import AsJson, DataDir
from service.cli.events import split
from service.cli.failure import Failure
from service.cli.output import say
from service.cli.target import Target, Url, find_target, is_http

_PURPOSE = b"darkroom listen"


def listen(
    *,
    forward_to: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Where to, such as http://localhost:3000/hook.",
            show_default=False,
        ),
    ] = None,
    types: Annotated[
        str | None,
        typer.Option(
            "--events",
            metavar="T,T",
            help="Only these; unsaid: all but job.started and job.progress.",
            show_default=False,
        ),
    ] = None,
    print_secret: Annotated[
        bool, typer.Option("--print-secret", help="Print the secret, and no more.")
    ] = False,
    url: Url = None,
    data_dir: DataDir = None,
    json: AsJson = False,
) -> None:
    """Forward webhooks to a program on this machine, until Ctrl-C.

    The secret that signs them follows from the API key: it stays the same.
    """
    target = find_target(url, data_dir)
    secret = secret_of(target.key)
    if print_secret:
        print(secret)
        return
    if forward_to is None or not is_http(forward_to):
        raise Failure("--forward-to takes an http:// or https:// URL", exit_code=2)
    say(f"forwarding to {forward_to}, signed with {secret}")
    try:
        asyncio.run(forward_events(target, forward_to, types=split(types), json=json))
    except KeyboardInterrupt as exc:
        raise typer.Exit(130) from exc


def secret_of(key: str) -> str:
    """Return what signs for whoever has this API key, which it does not betray."""
    digest = hmac.digest(key.encode(), _PURPOSE, "sha256")
    return f"whsec_{base64.b64encode(digest).decode()}"


async def forward_events(
    target: Target, url: str, *, types: Sequence[str], json: bool
) -> None:
    """Forward what happens from now on to a URL, and print what came of it.

    Raises:
        Failure: The front door said no, or was away too long.
    """
    from service.cli.forwarding import forwarded, shown, shown_as_json
    from service.core.webhooks import BATCH_STEPS, DISABLED, HELD, JOB_ENDS

    wanted = types or (HELD, *JOB_ENDS, *BATCH_STEPS, DISABLED)
    tell = shown_as_json if json else shown
    secret = secret_of(target.key)
    async with staying(target) as client:
        await forwarded(client, url, secret=secret, types=wanted, tell=tell)
