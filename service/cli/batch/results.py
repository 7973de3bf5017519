"""`darkroom batch results`: what became of each line, printed or fetched."""

import asyncio
import sys
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from service.cli.asking import staying
from service.cli.batch.ending import conclude
from service.cli.batch.standing import BatchId
from service.cli.context import AsJson, DataDir
from service.cli.output import emit, print_row
from service.cli.target import Target, Url, find_target

if TYPE_CHECKING:
    from service.cli.batch.bringing import Place
    from service.cli.batch.manifest import Manifest
    from service.client import BatchResult


def results(
    batch_id: BatchId,
    *,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder for images and manifest.jsonl; unsaid: URLs are printed.",
            show_default=False,
        ),
    ] = None,
    follow: Annotated[
        bool, typer.Option("--follow", help="Wait for those to come.")
    ] = False,
    url: Url = None,
    data_dir: DataDir = None,
    json: AsJson = False,
) -> None:
    """Print what became of each line, or fetch the images.

    It is in the order in which the lines ended, and can be read while the batch runs.
    """
    target = find_target(url, data_dir)
    try:
        if out is None:
            asyncio.run(_print(target, batch_id, follow=follow, json=json))
        else:
            _fetch(target, batch_id, out, follow=follow, json=json)
    except KeyboardInterrupt as exc:
        raise typer.Exit(130) from exc


async def _print(target: Target, batch_id: str, *, follow: bool, json: bool) -> None:
    async with (
        staying(target) as client,
        aclosing(client.results(batch_id, follow=follow)) as found,
    ):
        async for result in found:
            if json:
                emit(result.raw)
            else:
                print_row(*_row(result))


def _fetch(
    target: Target, batch_id: str, out: Path, *, follow: bool, json: bool
) -> None:
    from service.cli.batch.manifest import Manifest

    with Manifest.opened(out, {"batch": batch_id}) as manifest:
        total = asyncio.run(_bring(target, batch_id, manifest, follow=follow))
    conclude(
        manifest,
        sorted(manifest.entries),
        total=total,
        more={"batch": batch_id},
        remedy=f"`darkroom batch retry-failed {batch_id}` tries them again",
        json=json,
    )


async def _bring(
    target: Target, batch_id: str, manifest: "Manifest", *, follow: bool
) -> int:
    from service.cli.batch.bringing import bring, bring_again
    from service.cli.batch.progress import Tally, counting, shown_progress

    with shown_progress(is_terminal=sys.stderr.isatty()) as progress:
        async with staying(target, say=progress.say) as client:
            await bring_again(client, manifest=manifest, on_entry=lambda _: None)
            total = (await client.batch(batch_id)).request_counts.total
            tally = Tally.of_entries(manifest.entries.values(), total=total)
            await bring(
                client,
                batch_id,
                manifest=manifest,
                place_of=_place_of,
                follow=follow,
                on_entry=counting(tally, progress),
                after=manifest.taken(batch_id),
            )
    return total


def _place_of(result: "BatchResult") -> "Place":
    from service.cli.batch.bringing import Place

    job = result.job
    return Place(result.line, job.request["prompt"] if job else "")


def _row(result: "BatchResult") -> list[object]:
    status = result.job.status if result.job else "failed"
    problem = result.problem
    why = f"{problem.code}: {problem.message}" if problem else None
    urls = [image.url for image in result.images]
    return [result.line, result.custom_id, status, *urls, why]
