"""`darkroom batch submit`: a file of prompts becomes a folder of images.

It can be stopped, killed and run again at any point: the batch goes on meanwhile, and
the same command finds it.
"""

import asyncio
import json as json_format
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from service.cli.asking import ask, staying
from service.cli.batch.ending import conclude
from service.cli.context import AsJson, DataDir
from service.cli.failure import Failure
from service.cli.generate import Format, Model, Size
from service.cli.output import emit, say
from service.cli.target import Target, Url, find_target
from service.core.errors import InvalidRequest
from service.core.prompts import Line, Shape, read_prompts, shape_of

if TYPE_CHECKING:
    from service.cli.batch.manifest import Manifest
    from service.cli.batch.run import Plan


def submit(
    file: Annotated[
        Path,
        typer.Argument(help="Prompts: .tsv, .csv, .jsonl or plain lines; - is stdin."),
    ],
    *,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for images and manifest.jsonl.", show_default=False),
    ] = None,
    no_wait: Annotated[
        bool, typer.Option("--no-wait", help="Print the batch's id, fetch nothing.")
    ] = False,
    model: Model = "test/test",
    size: Size = None,
    format_: Format = None,
    read_as: Annotated[
        Shape | None, typer.Option(help="What the file's name does not say.")
    ] = None,
    url: Url = None,
    data_dir: DataDir = None,
    json: AsJson = False,
) -> None:
    """Make images of every prompt in a file; run it again to go on.

    The file is sent as one batch, and its images are fetched as they come. After
    Ctrl-C the batch goes on; the same command fetches what is left, and tries anew
    what has failed. Nothing is made twice.
    """
    if (out is None) is not no_wait:
        raise Failure("say either --out or --no-wait", exit_code=2)
    shape = read_as or shape_of(file.name)
    content = _read(file)
    lines = _prompts(content, shape)
    if not lines:
        raise Failure(f"there are no prompts in {file}", exit_code=2)
    from service.cli.batch.run import Plan, digest

    options = {"model": model, "size": size, "output_format": format_}
    fields = {name: value for name, value in options.items() if value is not None}
    identity = {"options": fields, "read_as": shape, "sha256": digest(content)}
    fingerprint = digest(json_format.dumps(identity, sort_keys=True).encode())
    plan = Plan(fingerprint=fingerprint, fields=fields)
    if out is None:
        _send(lines, plan, url=url, data_dir=data_dir, json=json)
        return
    target = find_target(url, data_dir)
    from service.cli.batch.manifest import Manifest

    with Manifest.opened(out, identity) as manifest:
        there = sum(manifest.is_done(line.number) for line in lines)
        began = time.monotonic()
        _follow(target, lines, plan, manifest, there=there)
        took_s = time.monotonic() - began
        wanted = [line.number for line in lines]
    more = {"resumed": there, "seconds": round(took_s, 1)}
    remedy = "the same command tries them again"
    conclude(manifest, wanted, total=len(lines), more=more, remedy=remedy, json=json)


def _send(
    lines: list[Line],
    plan: "Plan",
    *,
    url: str | None,
    data_dir: Path | None,
    json: bool,
) -> None:
    from service.cli.batch.run import send

    sound = [line for line in lines if line.problem is None]
    for line in lines:
        if line.problem is not None:
            say(f"line {line.number} is left out: {line.problem}")
    if not sound:
        raise Failure("no line is a prompt", exit_code=2)
    batch = ask(url, data_dir, lambda client: send(client, sound, plan))
    if json:
        emit(batch.raw)
    else:
        print(batch.id)
    if batch.status == "failed":
        raise Failure(f"{batch.id} has failed: `darkroom batch status` says why")


def _follow(
    target: Target,
    lines: list[Line],
    plan: "Plan",
    manifest: "Manifest",
    *,
    there: int,
) -> None:
    if there == len(lines):
        return
    if there:
        say(f"{there:,} of {len(lines):,} are there already; going on with the rest")
    try:
        asyncio.run(_run(target, lines, plan, manifest))
    except KeyboardInterrupt as exc:
        raise Failure(_hint(manifest), exit_code=130) from exc
    except Failure as exc:
        if exc.exit_code == 1:
            say(_hint(manifest))
        raise


async def _run(
    target: Target, lines: list[Line], plan: "Plan", manifest: "Manifest"
) -> None:
    from service.cli.batch.progress import shown_progress
    from service.cli.batch.run import run_batch

    with shown_progress(is_terminal=sys.stderr.isatty()) as progress:
        async with staying(target, say=progress.say) as client:
            await run_batch(
                client, lines, plan=plan, manifest=manifest, progress=progress
            )


def _hint(manifest: "Manifest") -> str:
    if manifest.sent is None:
        return "stopped; the same command goes on from here"
    batch = manifest.sent.batch
    return (
        f"stopped; {batch} goes on, and the same command fetches the rest of it "
        f"(`darkroom batch cancel {batch}` calls it off)"
    )


def _prompts(content: bytes, shape: Shape) -> list[Line]:
    try:
        return read_prompts(content, shape)
    except InvalidRequest as exc:
        raise Failure(str(exc), exit_code=2) from exc


def _read(file: Path) -> bytes:
    try:
        return sys.stdin.buffer.read() if file == Path("-") else file.read_bytes()
    except OSError as exc:
        raise Failure(f"cannot read {file}: {exc.strerror}", exit_code=2) from exc
