"""`darkroom generate`: one prompt, from here to image files."""

import asyncio
import functools
import sys
import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from service.cli.context import AsJson, DataDir
from service.cli.failure import Failure
from service.cli.output import emit, say
from service.cli.target import Url, find_target

if TYPE_CHECKING:
    from service.cli.target import Target
    from service.client import AsyncDarkroom, Job

_PATIENCE_S = 30.0
_LOOK_S = 2.0
"""How soon it is noticed that a job is held."""
_FORMATS = {".png": "png", ".jpg": "jpeg", ".jpeg": "jpeg", ".webp": "webp"}

Model = Annotated[str, typer.Option(help="`test/test` draws the prompt, free.")]
Size = Annotated[str | None, typer.Option(help="1024x1024, for example, or auto.")]
Format = Annotated[str | None, typer.Option("--format", help="png, jpeg or webp.")]


def generate(
    prompt: Annotated[str, typer.Argument(help="What is to be seen.")],
    *,
    model: Model = "test/test",
    size: Size = None,
    n: Annotated[int, typer.Option("-n", "--n", min=1, help="How many images.")] = 1,
    format_: Format = None,
    out: Annotated[
        Path, typer.Option(help="Folder for the images, or the name of one.")
    ] = Path(),
    url: Url = None,
    data_dir: DataDir = None,
    json: AsJson = False,
) -> None:
    """Make images of a prompt and print the files they went to."""
    path_of = _naming(out, count=n)
    body = {
        "model": model,
        "prompt": prompt,
        "n": n,
        "size": size,
        "output_format": format_ or _FORMATS.get(out.suffix.lower()),
        "priority": "interactive",
    }
    given = {name: value for name, value in body.items() if value is not None}
    job, files = asyncio.run(_run(find_target(url, data_dir), given, path_of))
    if json:
        emit(
            {
                "job_id": job.id,
                "status": job.status,
                "images": files,
                "error": job.raw["error"],
            }
        )
    else:
        for file in files:
            print(file["file"])
    if error := job.error:  # beside images too, when some could not be made
        raise Failure(f"{error.code}: {error.message}")
    if not files:
        raise Failure(f"{job.id} is {job.status}")


async def _run(
    target: "Target", body: dict[str, Any], path_of: Callable[[str, int, str], Path]
) -> tuple["Job", list[dict[str, Any]]]:
    from service.cli.api import connected
    from service.cli.images import ImageLost, save_images

    async with connected(target, patience_s=_PATIENCE_S) as client:
        with _waiting():
            job = await client.submit(body)
            job = await _finished(client, job)
        if job.status != "succeeded":
            return job, []
        naming = functools.partial(path_of, job.id)
        try:
            return job, await save_images(client, job, naming)
        except ImageLost as exc:
            raise Failure(str(exc)) from exc


async def _finished(client: "AsyncDarkroom", job: "Job") -> "Job":
    from service.client import DarkroomError

    try:
        return await _awaited(client, job)
    except (asyncio.CancelledError, DarkroomError):
        say(f"{job.id} goes on; `darkroom jobs show` or `cancel` takes its id")
        raise


async def _awaited(client: "AsyncDarkroom", job: "Job") -> "Job":
    """Wait until the job is final; say so when that takes somebody's word."""
    from service.client import StillRunning

    was_held = False
    while True:
        try:
            return await client.wait(job, timeout_s=_LOOK_S)
        except StillRunning as exc:
            queue = getattr(exc.work, "queue", None)
        is_held = queue is not None and queue.held
        if is_held and not was_held:
            say(
                f"{job.id} is held: nobody knows whether its images were bought. "
                f"`darkroom jobs release {job.id}` makes another attempt, which may "
                f"buy them twice; `darkroom jobs cancel {job.id}` ends it"
            )
        was_held = is_held


def _waiting() -> AbstractContextManager[object]:
    if not sys.stderr.isatty():
        return nullcontext()
    from rich.console import Console

    return Console(stderr=True).status("waiting for the image")


def _naming(out: Path, *, count: int) -> Callable[[str, int, str], Path]:
    """Return what names the file of a job's image; make the folder it lies in."""
    is_file = out.suffix.lower() in _FORMATS
    folder = out.parent if is_file else out
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # Found out now, not when the images have been paid for.
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as exc:
        raise Failure(f"cannot write to {folder}: {exc.strerror}", exit_code=2) from exc
    if not is_file:
        return lambda job_id, number, suffix: folder / f"{job_id}-{number}.{suffix}"
    if count == 1:
        return lambda *_: out
    return lambda _, number, __: folder / f"{out.stem}-{number}{out.suffix}"
