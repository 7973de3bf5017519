"""One job: its images, its life as a picture, what it asked for, who was told."""

import time
from typing import Any

import orjson
from aiohttp import web

from service.accounts import ApiKey, Scope
from service.api import limits
from service.api.context import FRONT, TRACE, Front
from service.api.dashboard.advice import advice
from service.api.dashboard.frame import Pages, go
from service.api.dashboard.rendering import page
from service.api.dashboard.timeline import timeline_of
from service.api.references import job_id_of
from service.core.jobs import Job, JobState

pages = Pages(scope=Scope.GENERATE)

_DELIVERIES = 20


@pages.get("/ui/jobs/{job_id}")
async def show_job(request: web.Request, key: ApiKey) -> web.StreamResponse:
    """Show the job as it stands."""
    front, job = request.app[FRONT], await job_of(request, key)
    view = await shown(front, job)
    return page(
        request,
        "job.html",
        key=key,
        part="job",
        job=view,
        held=job.held,
        is_final=job.state.is_final,
        can_retry=job.state.is_final and bool(job.request.prompt or job.request.images),
        timeline=timeline_of(job, now_s=time.time()),
        advice=advice(job.error["code"]) if job.error else "",
        raw=orjson.dumps(view, option=orjson.OPT_INDENT_2).decode(),
    )


@pages.get("/ui/jobs/{job_id}/deliveries")
async def show_deliveries(request: web.Request, key: ApiKey) -> web.StreamResponse:
    """Show who was told of the job, and what they answered."""
    front, job = request.app[FRONT], await job_of(request, key)
    found = await front.deliveries.page(
        key.account, limit=_DELIVERIES, matches=lambda one: one.subject == job.id
    )
    return page(
        request,
        "job_deliveries.html",
        key=key,
        part="deliveries",
        job_id=job.id,
        deliveries=found.deliveries,
    )


@pages.post("/ui/jobs/{job_id}/cancel")
async def cancel_job(request: web.Request, key: ApiKey) -> web.StreamResponse:
    """Make it canceled."""
    job_id = await job_id_of(request, key)
    await request.app[FRONT].intake.cancel(job_id, account=key.account)
    return go(request, f"/ui/jobs/{job_id}")


@pages.post("/ui/jobs/{job_id}/release")
async def release_job(request: web.Request, key: ApiKey) -> web.StreamResponse:
    """Let it go on."""
    job_id = await job_id_of(request, key)
    await request.app[FRONT].intake.release(job_id, account=key.account)
    return go(request, f"/ui/jobs/{job_id}")


@pages.post("/ui/jobs/{job_id}/retry")
async def retry_job(request: web.Request, key: ApiKey) -> web.StreamResponse:
    """Make a new one with its request, and show that."""
    await limits.count(request, key)
    front, job = request.app[FRONT], await job_of(request, key)
    accepted = await front.intake.retry(job, key=key, name=None)
    front.metrics.submitted(joined=accepted.joined)
    return go(request, f"/ui/jobs/{accepted.job.id}")


@pages.post("/ui/jobs/{job_id}/delete")
async def delete_job(request: web.Request, key: ApiKey) -> web.StreamResponse:
    """Remove it with its images."""
    job_id = await job_id_of(request, key)
    await request.app[FRONT].intake.delete(job_id, account=key.account)
    return go(request, "/ui/jobs")


async def job_of(request: web.Request, key: ApiKey) -> Job:
    """Return the job that the path names.

    Raises:
        JobNotFound: The account has none of that name.
        JobDeleted: It had one.
    """
    job_id = await job_id_of(request, key)
    job = await request.app[FRONT].backends.jobs.get(job_id, account=key.account)
    request[TRACE].job_id = job.id
    return job


async def shown(front: Front, job: Job) -> dict[str, Any]:
    """Return the job as the API shows it, with its place in the queue."""
    if job.state is not JobState.QUEUED:
        return front.views.job(job)
    position = await front.backends.jobs.position(job)
    eta_s = None if position is None else front.waiters.pace.eta_s(position)
    return front.views.job(job, position=position, eta_s=eta_s)
