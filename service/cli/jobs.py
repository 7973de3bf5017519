"""`darkroom jobs`: what became of requests, calling one off, letting one go on."""

from typing import TYPE_CHECKING, Annotated

import typer

from service.cli.asking import ask
from service.cli.context import AsJson, DataDir
from service.cli.output import (
    emit,
    newest,
    print_facts,
    print_status,
    print_table,
    when,
)
from service.cli.target import Url
from service.core.jobs import JobState

if TYPE_CHECKING:
    from service.client import AsyncDarkroom, Attempt, Job

app = typer.Typer(
    help="List, show, cancel, retry and release jobs.", no_args_is_help=True
)

_PROMPT_WIDTH = 50

JobId = Annotated[str, typer.Argument(metavar="ID", help="job_...")]


@app.command("list")
def list_jobs(
    *,
    status: Annotated[
        JobState | None,
        typer.Option(help="Only those that stand so.", show_default=False),
    ] = None,
    held: Annotated[
        bool, typer.Option("--held", help="Only those that wait to be released.")
    ] = False,
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = 20,
    url: Url = None,
    data_dir: DataDir = None,
    json: AsJson = False,
) -> None:
    """List jobs, newest first."""
    found = ask(
        url,
        data_dir,
        lambda client: _listed(client, status, held=held, limit=limit + 1),
    )
    jobs = newest(found, limit)
    if json:
        emit([job.raw for job in jobs])
        return
    print_table(
        ["ID", "STATUS", "CREATED", "MODEL", "PROMPT"],
        [
            (
                job.id,
                _status(job),
                when(job.created_at),
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
    job = ask(url, data_dir, lambda client: client.job(job_id))
    if json:
        emit(job.raw)
        return
    request, error = job.request, job.error
    facts = [
        ("id", job.id),
        ("status", _status(job)),
        ("model", request["model"]),
        ("size", request["size"]),
        ("prompt", request["prompt"]),
        ("created", when(job.created_at)),
        ("completed", when(job.completed_at)),
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
    job = ask(url, data_dir, lambda client: client.cancel(job_id))
    print_status(job, json=json)


@app.command()
def retry(
    job_id: JobId, url: Url = None, data_dir: DataDir = None, json: AsJson = False
) -> None:
    """Make a new job with the request of one that is final."""
    job = ask(url, data_dir, lambda client: client.retry(job_id))
    print_status(job, json=json)


@app.command()
def release(
    job_id: JobId, url: Url = None, data_dir: DataDir = None, json: AsJson = False
) -> None:
    """Let a held job make another attempt, which may buy its images twice."""
    job = ask(url, data_dir, lambda client: client.release(job_id))
    print_status(job, json=json)


async def _listed(
    client: "AsyncDarkroom", status: JobState | None, *, held: bool, limit: int
) -> list["Job"]:
    found = client.jobs(status=status, held=True if held else None, limit=limit)
    return [job async for job in found]


def _status(job: "Job") -> str:
    held = job.queue is not None and job.queue.held
    return f"{job.status} (held)" if held else job.status


def _attempt(attempt: "Attempt") -> str:
    where = f"{attempt.provider}/{attempt.provider_model}"
    code = "" if attempt.error_code is None else f" ({attempt.error_code})"
    took = "" if attempt.ms is None else f" after {attempt.ms} ms"
    cost = "" if attempt.cost is None else f" ${attempt.cost:g}"
    source = f" ({attempt.cost_source})" if cost else ""
    paid = {True: "billed", False: "not billed", None: "bill unknown"}[attempt.billed]
    began = when(attempt.started_at)
    return f"{began} {where} {attempt.outcome}{code}{took}, {paid}{cost}{source}"


def _cut(text: str) -> str:
    fits = len(text) <= _PROMPT_WIDTH
    return text if fits else text[: _PROMPT_WIDTH - 1] + "…"
