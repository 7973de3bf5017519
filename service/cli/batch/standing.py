"""`darkroom batch`: how batches stand, calling one off, and trying again."""

import asyncio
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from service.cli.asking import ask, staying
from service.cli.context import AsJson, DataDir
from service.cli.failure import Failure
from service.cli.output import (
    emit,
    newest,
    print_facts,
    print_status,
    print_table,
    say,
    when,
)
from service.cli.target import Target, Url, find_target

if TYPE_CHECKING:
    from service.client import AsyncDarkroom, Batch

_LOOK_EVERY_S = 1.0
_SHOWN_ERRORS = 10

BatchId = Annotated[str, typer.Argument(metavar="ID", help="batch_...")]


def list_batches(
    *,
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = 20,
    url: Url = None,
    data_dir: DataDir = None,
    json: AsJson = False,
) -> None:
    """List batches, newest first."""
    found = ask(url, data_dir, lambda client: _listed(client, limit + 1))
    batches = newest(found, limit)
    if json:
        emit([batch.raw for batch in batches])
        return
    counts = ["LINES", "COMPLETED", "FAILED", "CANCELED", "EXPIRED"]
    print_table(
        ["ID", "STATUS", "CREATED", *counts, "COST"],
        [
            (
                batch.id,
                batch.status,
                when(batch.created_at),
                batch.request_counts.total,
                batch.request_counts.completed,
                batch.request_counts.failed,
                batch.request_counts.canceled,
                batch.request_counts.expired,
                f"${batch.summary.cost:.2f}",
            )
            for batch in batches
        ],
    )


def status(
    batch_id: BatchId, url: Url = None, data_dir: DataDir = None, json: AsJson = False
) -> None:
    """Show how a batch stands."""
    batch = ask(url, data_dir, lambda client: client.batch(batch_id))
    if json:
        emit(batch.raw)
        return
    counts, summary = batch.request_counts, batch.summary
    errors = batch.errors.data[:_SHOWN_ERRORS]
    facts: list[tuple[str, object]] = [
        ("id", batch.id),
        ("status", batch.status),
        ("created", when(batch.created_at)),
        ("expires", when(batch.expires_at)),
        ("lines", f"{counts.total:,}"),
        ("completed", f"{counts.completed:,}"),
        ("failed", f"{counts.failed:,}"),
        ("canceled", f"{counts.canceled:,}"),
        ("expired", f"{counts.expired:,}"),
        ("images", f"{summary.images:,}"),
        ("cost", f"${summary.cost:,.4f}"),
        ("p50, p95", f"{_ms(summary.p50_ms)}, {_ms(summary.p95_ms)}"),
        *([("retry of", batch.retry_of)] if batch.retry_of else []),
        *((f"line {e.line}", f"{e.code}: {e.message}") for e in errors),
    ]
    print_facts(facts)


def watch(
    batch_id: BatchId, url: Url = None, data_dir: DataDir = None, json: AsJson = False
) -> None:
    """Show how a batch gets on, until it has ended.

    Ctrl-C ends the watching, not the batch. With --json each change is a line.
    """
    target = find_target(url, data_dir)
    try:
        batch = asyncio.run(_watch(target, batch_id, json=json))
    except KeyboardInterrupt as exc:
        raise typer.Exit(130) from exc
    counts = batch.request_counts
    if not json:
        print(f"{batch.id} is {batch.status}")
    if counts.completed < counts.total:
        missing = counts.total - counts.completed
        raise Failure(
            f"{missing:,} of {counts.total:,} lines have no images",
            remedy=f"`darkroom batch retry-failed {batch.id}` tries them again",
        )


def cancel(
    batch_id: BatchId, url: Url = None, data_dir: DataDir = None, json: AsJson = False
) -> None:
    """Let nothing more of a batch begin; what has begun is finished."""
    print_status(
        ask(url, data_dir, lambda client: client.cancel_batch(batch_id)), json=json
    )


def retry_failed(
    batch_id: BatchId, url: Url = None, data_dir: DataDir = None, json: AsJson = False
) -> None:
    """Make a batch of those lines of an ended one that have no images.

    Said again, it is the same batch for a day.
    """
    name = f"retry-failed {batch_id}"
    batch = ask(
        url,
        data_dir,
        lambda client: client.retry_failed(batch_id, idempotency_key=name),
    )
    print_status(batch, json=json)
    if batch.is_final or batch.status == "cancelling":
        say(
            f"it was made before, at {when(batch.created_at)}; what it leaves, "
            f"`darkroom batch retry-failed {batch.id}` tries"
        )


def _ms(took: int | None) -> str:
    return "-" if took is None else f"{took} ms"


async def _listed(client: "AsyncDarkroom", limit: int) -> list["Batch"]:
    return [batch async for batch in client.batches(limit=limit)]


async def _watch(target: Target, batch_id: str, *, json: bool) -> "Batch":
    from service.cli.batch.progress import Tally, shown_progress

    is_terminal = sys.stderr.isatty() and not json
    with shown_progress(is_terminal=is_terminal) as progress:
        async with staying(target, say=progress.say) as client:
            last: Batch | None = None
            while True:
                batch = await client.batch(batch_id)
                if json and (last is None or batch.raw != last.raw):
                    emit(batch.raw)
                progress.show(Tally.of(batch))
                if batch.is_final:
                    return batch
                last = batch
                await asyncio.sleep(_LOOK_EVERY_S)
