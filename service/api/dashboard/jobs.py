"""The list of jobs: filtered by its address, live as long as that costs little."""

from collections.abc import Callable
from typing import Any, NamedTuple
from urllib.parse import urlencode

import structlog
from aiohttp import web

from service.accounts import ApiKey, Scope
from service.api import limits
from service.api.context import FRONT
from service.api.dashboard.forms import read_form_pairs
from service.api.dashboard.frame import Pages, go
from service.api.dashboard.rendering import page
from service.core.errors import JobNotFound, RequestError
from service.core.jobs import Job, JobState, is_alias, is_job_id

log = structlog.get_logger()

pages = Pages(scope=Scope.GENERATE)

_PER_PAGE = 30
_MOST_AT_ONCE = 100
_WORDS = 200


class Filter(NamedTuple):
    """Which jobs are wanted, as the address says it.

    Attributes:
        status: A state, or empty for all.
        words: What the prompt has in it, or an id.
        model: The model's canonical name, or empty for all.
        batch: The batch, or empty for all.
    """

    status: str = ""
    words: str = ""
    model: str = ""
    batch: str = ""

    @classmethod
    def read(cls, request: web.Request) -> "Filter":
        """Read the query; what it does not know it leaves out."""
        query = request.query
        status = query.get("status", "")
        return cls(
            status=status if status in set(JobState) else "",
            words=query.get("q", "").strip()[:_WORDS],
            model=query.get("model", ""),
            batch=query.get("batch", ""),
        )

    def matches(self, job: Job) -> bool:
        """Whether the job is wanted."""
        return (
            (not self.status or job.state == self.status)
            and (not self.model or job.request.model == self.model)
            and (not self.batch or job.batch == self.batch)
            and self.words.lower() in job.request.prompt.lower()
        )

    def link(self, **changes: str) -> str:
        """Return the address of the list with some of it changed."""
        said = {
            "status": self.status,
            "q": self.words,
            "model": self.model,
            "batch": self.batch,
            **changes,
        }
        query = urlencode({name: value for name, value in said.items() if value})
        return f"/ui/jobs?{query}" if query else "/ui/jobs"


@pages.get("/ui/jobs")
async def show_jobs(request: web.Request, key: ApiKey) -> web.StreamResponse:
    """List the account's jobs, newest first; an id that is searched for is shown."""
    front, wanted = request.app[FRONT], Filter.read(request)
    found = await _named(request, key, wanted.words)
    if found is not None:
        return go(request, f"/ui/jobs/{found}")
    after = request.query.get("after", "")
    listed = await front.backends.jobs.list_jobs(
        key.account,
        limit=_PER_PAGE,
        after=after if is_job_id(after) else None,
        matches=wanted.matches,
    )
    return page(
        request,
        "jobs.html",
        key=key,
        part="list",
        wanted=wanted,
        states=[state.value for state in JobState],
        jobs=[front.views.job(job) for job in listed.jobs],
        older=wanted.link(after=listed.jobs[-1].id) if listed.more else None,
        is_first=not after,
        again=wanted.link(after=after),
    )


@pages.post("/ui/jobs/cancel")
async def cancel_jobs(request: web.Request, key: ApiKey) -> web.StreamResponse:
    """Cancel those that are chosen and not final."""
    front = request.app[FRONT]

    async def cancel(job: Job) -> None:
        await front.intake.cancel(job.id, account=key.account)

    return await _to_each(request, key, cancel, lambda job: not job.state.is_final)


@pages.post("/ui/jobs/retry")
async def retry_jobs(request: web.Request, key: ApiKey) -> web.StreamResponse:
    """Make those anew that are chosen and final."""
    front = request.app[FRONT]

    async def retry(job: Job) -> None:
        await limits.count(request, key)
        accepted = await front.intake.retry(job, key=key, name=None)
        front.metrics.submitted(joined=accepted.joined)

    return await _to_each(request, key, retry, lambda job: job.state.is_final)


async def _to_each(
    request: web.Request,
    key: ApiKey,
    act: Callable[[Job], Any],
    fits: Callable[[Job], bool],
) -> web.Response:
    """Do it to each chosen job that it fits; one that changed meanwhile stays.

    Raises:
        RequestError: It could be done to none of them.
    """
    store = request.app[FRONT].backends.jobs
    pairs = await read_form_pairs(request)
    chosen = [value for name, value in pairs if name == "id"][:_MOST_AT_ONCE]
    done, refused = 0, list[RequestError]()
    for job_id in chosen:
        try:
            job = await store.get(job_id, account=key.account)
            if fits(job):
                await act(job)
                done += 1
        except RequestError as exc:
            refused.append(exc)
    log.info("jobs.changed", chosen=len(chosen), done=done, refused=len(refused))
    if refused and not done:
        raise refused[0]
    return go(request, dict(pairs).get("back", "/ui/jobs").partition("#")[0])


async def _named(request: web.Request, key: ApiKey, words: str) -> str | None:
    """Return the job whose id or alias was searched for, if there is one."""
    if not is_job_id(words) and not is_alias(words):
        return None
    store = request.app[FRONT].backends.jobs
    try:
        job_id = await store.resolve(words, account=key.account)
        job = await store.get(job_id, account=key.account)
    except JobNotFound:
        return None
    return job.id
