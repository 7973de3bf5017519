"""`darkroom jobs`: what became of requests, and calling one off."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from service.cli.context import AsJson, DataDir
from service.cli.output import emit, print_facts, print_table
from service.cli.target import Url, find_target

if TYPE_CHECKING:
    from service.client import AsyncDarkroom, Attempt, Job

app = typer.Typer(help="List, show, cancel and retry jobs.", no_args_is_help=True)

_T = TypeVar("_T")

_PATIENCE_S = 5.0
_PROMPT_WIDTH = 50

JobId = Annotated[str, typer.Argument(metavar="ID", help="job_...")]


@app.command("list")
def list_jobs(
    *,
    status: Annotated[
        str | None, typer.Option(help="Only these: queued, running, failed ...")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = 20,
    url: Url = None,
    data_dir: DataDir = None,
    json: AsJson = False,
) -> None:
    """List jobs, newest first."""
    jobs = _ask(url, data_dir, lambda client: _listed(client, status, limit))
    if json:
        emit([job.raw for job in jobs])
        return
    print_table(
        ["ID", "STATUS", "CREATED", "MODEL", "PROMPT"],
        [
            (
                job.id,
                job.status,
                _when(job.created_at),
                job.request["model"],
                _cut(job.request["prompt"]),
            )
            for job in jobs
        ],
    )


@app.command()
def show(
    job_id: JobId, url: Url = None, data_dir: DataDir = None, json: AsJson = False
) -> None:
    """Show one job, with fresh URLs of its images."""
    job = _ask(url, data_dir, lambda client: client.job(job_id))
    if json:
        emit(job.raw)
        return
    request, error = job.request, job.error
    facts = [
        ("id", job.id),
        ("status", job.status),
        ("model", request["model"]),
        ("size", request["size"]),
        ("prompt", request["prompt"]),
        ("created", _when(job.created_at)),
        ("completed", _when(job.completed_at)),
        *((f"attempt {i}", _attempt(a)) for i, a in enumerate(job.attempts, 1)),
        *([("error", f"{error.code}: {error.message}")] if error else []),
        *(("image", image.url) for image in job.images),
    ]
    print_facts(facts)


@app.command()
def cancel(
    job_id: JobId, url: Url = None, data_dir: DataDir = None, json: AsJson = False
) -> None:
    """Cancel a job that is not finished, a running one too."""
    job = _ask(url, data_dir, lambda client: client.cancel(job_id))
    if json:
        emit(job.raw)
    else:
        print(f"{job.id} is {job.status}")


@app.command()
def retry(
    job_id: JobId, url: Url = None, data_dir: DataDir = None, json: AsJson = False
) -> None:
    """Make a new job with the request of one that is final."""
    job = _ask(url, data_dir, lambda client: client.retry(job_id))
    if json:
        emit(job.raw)
    else:
        print(f"{job.id} is {job.status}")


def _ask(
    url: str | None,
    data_dir: Path | None,
    work: Callable[["AsyncDarkroom"], Awaitable[_T]],
) -> _T:
    from service.cli.api import connected

    target = find_target(url, data_dir)

    async def asked() -> _T:
        async with connected(target, patience_s=_PATIENCE_S) as client:
            return await work(client)

    return asyncio.run(asked())


async def _listed(
    client: "AsyncDarkroom", status: str | None, limit: int
) -> list["Job"]:
    return [job async for job in client.jobs(status=status, limit=limit)]


def _attempt(attempt: "Attempt") -> str:
    where = f"{attempt.provider}/{attempt.provider_model}"
    code = "" if attempt.error_code is None else f" ({attempt.error_code})"
    took = "" if attempt.ms is None else f" after {attempt.ms} ms"
    cost = "" if attempt.cost is None else f" ${attempt.cost:g}"
    source = f" ({attempt.cost_source})" if cost else ""
    paid = {True: "billed", False: "not billed", None: "bill unknown"}[attempt.billed]
    when = _when(attempt.started_at)
    return f"{when} {where} {attempt.outcome}{code}{took}, {paid}{cost}{source}"


def _when(at: datetime | None) -> str | None:
    return None if at is None else f"{at.astimezone():%Y-%m-%d %H:%M:%S}"


def _cut(text: str) -> str:
    fits = len(text) <= _PROMPT_WIDTH
    return text if fits else text[: _PROMPT_WIDTH - 1] + "…"
