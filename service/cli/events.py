"""`darkroom events`: what happens, as it happens."""

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING, Annotated

import typer

from service.cli.asking import staying
from service.cli.context import AsJson, DataDir
from service.cli.failure import Failure
from service.cli.output import emit, print_row, when
from service.cli.target import Target, Url, find_target

if TYPE_CHECKING:
    from service.client import Event

_JOB, _BATCH = "job", "batch"


def events(
    *,
    job: Annotated[
        str | None,
        typer.Option(metavar="ID", help="Only of this job.", show_default=False),
    ] = None,
    batch: Annotated[
        str | None,
        typer.Option(metavar="ID", help="Only of this batch.", show_default=False),
    ] = None,
    types: Annotated[
        str | None,
        typer.Option(
            "--events",
            metavar="T,T",
            help="Only these, such as job.succeeded,job.failed.",
            show_default=False,
        ),
    ] = None,
    after: Annotated[
        str | None,
        typer.Option(metavar="ID", help="Begin behind this event.", show_default=False),
    ] = None,
    url: Url = None,
    data_dir: DataDir = None,
    json: AsJson = False,
) -> None:
    """Print events as they come; those of one job or batch end with it.

    What breaks is taken up again where it broke. With --json each is a line, and its
    id is what --after takes.
    """
    if job is not None and batch is not None:
        raise Failure("say --job or --batch, not both", exit_code=2)
    subject = job or batch
    wanted = split(types)
    if subject is not None and wanted:
        raise Failure("--events leaves out events of the account only", exit_code=2)
    target = find_target(url, data_dir)
    try:
        asyncio.run(print_events(target, subject, after=after, types=wanted, json=json))
    except KeyboardInterrupt as exc:
        raise typer.Exit(130) from exc


def split(given: str | None) -> list[str]:
    """Return the words of an option that takes several."""
    return [word.strip() for word in (given or "").split(",") if word.strip()]


async def print_events(
    target: Target,
    subject: str | None = None,
    *,
    after: str | None = None,
    types: Sequence[str] = (),
    json: bool,
) -> None:
    """Print events of a job, a batch (by its id) or the account.

    Raises:
        Failure: The front door said no, or was away too long.
    """
    async with (
        staying(target) as client,
        aclosing(client.events(subject, after=after, types=types)) as found,
    ):
        async for event in found:
            if json:
                emit(event.raw)
            else:
                print_row(*_row(event))


def _row(event: "Event") -> list[object]:
    shown = event.progress is not None and event.type.endswith("progress")
    progress = f"{event.progress:.0%}" if shown else None
    ids = [event.job_id, event.batch_id, event.endpoint_id]
    return [when(event.created_at), event.type, *ids, progress]
