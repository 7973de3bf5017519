"""`darkroom batch submit`: a file of prompts becomes a folder of images.

The batch lives on this side; what the front door sees are jobs. It can be stopped,
killed and run again at any point.
"""

import asyncio
import hashlib
import json as json_format
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from service.cli.batch.prompts import Line, Shape, read_prompts, shape_of
from service.cli.context import AsJson, DataDir
from service.cli.failure import Failure
from service.cli.generate import Format, Model, Size
from service.cli.output import emit, say
from service.cli.target import Url, find_target

if TYPE_CHECKING:
    from service.cli.batch.manifest import Manifest
    from service.cli.batch.run import Plan
    from service.cli.target import Target

app = typer.Typer(help="Make images of a whole file of prompts.", no_args_is_help=True)

_PATIENCE_S = 600.0
"""How long the front door may be away before a run gives up."""
_FIRST_PATIENCE_S = 5.0
_SHOWN_FAILURES = 10
_GO_ON = "stopped; the same command goes on from here"


@app.callback()
def batch() -> None:
    """Make images of a whole file of prompts."""


@app.command()
def submit(
    file: Annotated[
        Path,
        typer.Argument(help="Prompts: .tsv, .csv, .jsonl or plain lines; - is stdin."),
    ],
    *,
    out: Annotated[Path, typer.Option(help="Folder for images and manifest.jsonl.")],
    model: Model = "test/test",
    size: Size = None,
    format_: Format = None,
    concurrency: Annotated[
        int, typer.Option(min=1, max=2000, help="Unfinished jobs at most.")
    ] = 200,
    read_as: Annotated[
        Shape | None, typer.Option(help="What the file's name does not say.")
    ] = None,
    url: Url = None,
    data_dir: DataDir = None,
    json: AsJson = False,
) -> None:
    """Make images of every prompt in a file; run it again to go on.

    Images and lines of the manifest are written as they come. After Ctrl-C, or
    when some have failed, the same command does what is left.
    """
    from service.cli.batch.manifest import Manifest
    from service.cli.batch.run import Plan

    shape = read_as or shape_of(file.name)
    content = _read(file)
    lines = read_prompts(content, shape)
    if not lines:
        raise Failure(f"there are no prompts in {file}", exit_code=2)
    options = {"model": model, "size": size, "output_format": format_}
    fields = {name: value for name, value in options.items() if value is not None}
    identity = {"options": fields, "read_as": shape, "sha256": _digest(content)}
    fingerprint = _digest(json_format.dumps(identity, sort_keys=True).encode())
    plan = Plan(fingerprint=fingerprint, fields=fields, window=concurrency)
    target = find_target(url, data_dir)
    with Manifest.opened(out, identity) as manifest:
        began = time.monotonic()
        try:
            made = asyncio.run(_run(target, lines, plan, manifest))
        except KeyboardInterrupt as exc:
            raise Failure(_GO_ON, exit_code=130) from exc
        except Failure as exc:
            if exc.exit_code == 1:
                say(_GO_ON)
            raise
        summary = _summary(lines, manifest, made=made, took_s=time.monotonic() - began)
    _conclude(summary, lines, manifest, json=json)


async def _run(
    target: "Target", lines: list[Line], plan: "Plan", manifest: "Manifest"
) -> int:
    from service.cli.api import connected
    from service.cli.batch.progress import shown_progress
    from service.cli.batch.run import run_batch

    left = [line for line in lines if not manifest.is_done(line.number)]
    done = len(lines) - len(left)
    if not left:
        return 0
    # A wrong URL or key is told at once, not after ten minutes.
    async with connected(target, patience_s=_FIRST_PATIENCE_S) as first:
        _ = [job async for job in first.jobs(limit=1)]
    if done:
        say(f"{done:,} of {len(lines):,} are there already; going on with the rest")
    shown = shown_progress(len(lines), done=done, is_terminal=sys.stderr.isatty())
    with shown as progress:
        opened = connected(
            target,
            patience_s=_PATIENCE_S,
            connections=plan.window,
            say=progress.say,
        )
        async with opened as client:
            await run_batch(
                client, left, plan=plan, manifest=manifest, on_entry=progress.add
            )
    return len(left)


def _read(file: Path) -> bytes:
    try:
        return sys.stdin.buffer.read() if file == Path("-") else file.read_bytes()
    except OSError as exc:
        raise Failure(f"cannot read {file}: {exc.strerror}", exit_code=2) from exc


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _summary(
    lines: list[Line], manifest: "Manifest", *, made: int, took_s: float
) -> dict[str, Any]:
    succeeded = sum(manifest.entries[line.number].succeeded for line in lines)
    return {
        "lines": len(lines),
        "succeeded": succeeded,
        "failed": len(lines) - succeeded,
        "resumed": len(lines) - made,
        "seconds": round(took_s, 1),
        "manifest": str(manifest.path),
    }


def _conclude(
    summary: dict[str, Any], lines: list[Line], manifest: "Manifest", *, json: bool
) -> None:
    entries = [manifest.entries[line.number] for line in lines]
    failed = [entry for entry in entries if not entry.succeeded]
    for entry in failed[:_SHOWN_FAILURES]:
        error = entry.error or {}
        say(f"line {entry.line}: {error.get('code')}: {error.get('message')}")
    if len(failed) > _SHOWN_FAILURES:
        say(f"... and {len(failed) - _SHOWN_FAILURES:,} more in {manifest.path}")
    if json:
        emit(summary)
    else:
        print(
            f"{summary['succeeded']:,} of {summary['lines']:,} prompts have their "
            f"images: {manifest.path}"
        )
    if failed:
        raise Failure(f"{len(failed):,} failed; the same command tries them again")
