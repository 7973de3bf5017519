"""`darkroom jobs`: what became of requests, calling one off, letting one go on."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from service.cli.context import AsJson, DataDir
from service.cli.failure import Failure
from service.cli.output import emit, print_facts, print_table, say
from service.cli.target import Url, find_target

if TYPE_CHECKING:
    from service.cli.api import Api

app = typer.Typer(help="List, show, cancel and release jobs.", no_args_is_help=True)

_T = TypeVar("_T")

_PATIENCE_S = 5.0
_PAGE = 100
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
    jobs = _ask(url, data_dir, lambda api: _listed(api, status, limit))
    if json:
        emit(jobs)
        return
    print_table(
        ["ID", "STATUS", "CREATED", "MODEL", "PROMPT"],
        [
            (
                job["id"],
                _status(job),
                _when(job["created_at"]),
                job["request"]["model"],
                _cut(job["request"]["prompt"]),
            )
            for job in jobs
        ],
    )


@app.command()
def show(
    job_id: JobId, url: Url = None, data_dir: DataDir = None, json: AsJson = False
) -> None:
    """Show one job, with fresh URLs of its images."""
    job = _ask(url, data_dir, lambda api: api.job(job_id))
    if json:
        emit(job)
        return
    request, error = job["request"], job["error"]
    images = (job["result"] or {}).get("data", [])
    facts = [
        ("id", job["id"]),
        ("status", _status(job)),
        ("model", request["model"]),
        ("size", request["size"]),
        ("prompt", request["prompt"]),
        ("created", _when(job["created_at"])),
        ("completed", _when(job["completed_at"])),
        *((f"attempt {i}", _attempt(a)) for i, a in enumerate(job["attempts"], 1)),
        *([("error", f"{error['code']}: {error['message']}")] if error else []),
        *(("image", image["url"]) for image in images),
    ]
    print_facts(facts)


@app.command()
def cancel(
    job_id: JobId, url: Url = None, data_dir: DataDir = None, json: AsJson = False
) -> None:
    """Cancel a job that is not finished, a running one too."""
    job = _ask(url, data_dir, lambda api: api.cancel(job_id))
    if json:
        emit(job)
    else:
        print(f"{job['id']} is {job['status']}")


@app.command()
def release(
    job_id: JobId, url: Url = None, data_dir: DataDir = None, json: AsJson = False
) -> None:
    """Let a held job make another attempt, which may buy its images twice."""
    job = _ask(url, data_dir, lambda api: api.release(job_id))
    if json:
        emit(job)
    else:
        print(f"{job['id']} is {_status(job)}")


def _ask(
    url: str | None, data_dir: Path | None, work: Callable[["Api"], Awaitable[_T]]
) -> _T:
    from service.cli.api import Api
    from service.cli.trouble import Refused

    target = find_target(url, data_dir)

    async def asked() -> _T:
        async with Api(target, patience_s=_PATIENCE_S, say=say) as api:
            return await work(api)

    try:
        return asyncio.run(asked())
    except Refused as exc:
        raise Failure(f"{exc.code}: {exc}") from exc


async def _listed(api: "Api", status: str | None, limit: int) -> list[dict[str, Any]]:
    jobs: list[dict[str, Any]] = []
    params: dict[str, str | int] = {} if status is None else {"status": status}
    while len(jobs) < limit:
        params["limit"] = min(_PAGE, limit - len(jobs))
        page = await api.get("/v1/jobs", params=params)
        jobs += page["data"]
        if not page["has_more"]:
            break
        params["after"] = page["last_id"]
    return jobs


def _status(job: dict[str, Any]) -> str:
    held = job["queue"] is not None and job["queue"]["held"]
    return f"{job['status']} (held)" if held else str(job["status"])


def _attempt(attempt: dict[str, Any]) -> str:
    where = f"{attempt['provider']}/{attempt['provider_model']}"
    code = "" if attempt["error_code"] is None else f" ({attempt['error_code']})"
    took = "" if attempt["ms"] is None else f" after {attempt['ms']} ms"
    cost = "" if attempt["cost"] is None else f" ${attempt['cost']:g}"
    source = f" ({attempt['cost_source']})" if cost else ""
    paid = {True: "billed", False: "not billed"}.get(attempt["billed"], "bill unknown")
    when = _when(attempt["started_at"])
    return f"{when} {where} {attempt['outcome']}{code}{took}, {paid}{cost}{source}"


def _when(seconds: int | None) -> str | None:
    if seconds is None:
        return None
    return f"{datetime.fromtimestamp(seconds, UTC).astimezone():%Y-%m-%d %H:%M:%S}"


def _cut(text: str) -> str:
    fits = len(text) <= _PROMPT_WIDTH
    return text if fits else text[: _PROMPT_WIDTH - 1] + "…"
