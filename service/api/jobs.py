"""`/v1/jobs`: the native resource."""

from datetime import timedelta
from http import HTTPStatus
from typing import Annotated, Literal

from aiohttp import web
from pydantic import BaseModel, Field

from service.api import limits
from service.api.answers import answer, written
from service.api.auth import authorized
from service.api.body import read_json
from service.api.context import FRONT, TRACE
from service.api.listing import bad_cursor, page_of, read_query
from service.api.references import job_id_of
from service.api.submitting import read_submission, submit
from service.api.wishes import (
    idempotency_name,
    long_poll_s,
    preference,
    refuse_unknown,
)
from service.core.errors import AlreadyFinished, InvalidRequest, JobNotFound
from service.core.jobs import Job, is_alias
from service.core.requests import Priority
from service.intake import Terms
from service.intake.draft import DRAFT_CONFIG, Draft, Metadata
from service.intake.fields import read_fields
from service.intake.preview import preview
from service.job_store.looking import Looked
from service.views import etag_of
from service.webhooks.wishes import WebhookDraft, webhook_of

routes = web.RouteTableDef()

_MONTH_S = 30 * 86_400


class JobDraft(Draft):
    """The body of `POST /v1/jobs`."""

    operation: Literal["generate", "edit", "variation"] | None = None
    """Unsaid, it is `edit` where there are images, and else `generate`."""
    metadata: Metadata | None = None
    """Your own notes: at most 16 pairs, of 64 and 512 characters."""
    priority: Literal["interactive", "normal", "batch"] = "normal"
    """How soon the job should start, next to your others."""
    deadline_s: Annotated[int, Field(ge=1, le=_MONTH_S)] | None = None
    """Seconds within which the job must start; else it expires, and costs nothing."""
    dry_run: bool = False
    """`true` answers what the job would cost, where it would go and when it would
    start; nothing is made."""
    webhook: WebhookDraft | None = None
    """Who is to be told of this job, beside the account's endpoints."""


class JobRetry(BaseModel):
    """The body of `POST /v1/jobs/{job_id}/retry`: nothing can be said differently."""

    model_config = DRAFT_CONFIG


@routes.post("/v1/jobs")
async def submit_job(request: web.Request) -> web.Response:
    """Accept a job; answer before any of it is done."""
    return await _submitted(request, alias=None)


@routes.put("/v1/jobs/{job_id}")
async def put_job(request: web.Request) -> web.Response:
    """Accept a job under an id of the caller's; again, it is the same job."""
    alias = request.match_info["job_id"]
    if not is_alias(alias):
        raise InvalidRequest(
            "an id of your own is 1 to 128 letters, digits, dots, colons, dashes or "
            "underscores, begins with a letter or digit, and not with job_",
            code="invalid_id",
            param="id",
        )
    return await _submitted(request, alias=alias)


async def _submitted(request: web.Request, *, alias: str | None) -> web.Response:
    key, draft, uploads = await read_submission(request, JobDraft)
    operation = draft.operation or ("edit" if uploads.images else "generate")
    front = request.app[FRONT]
    told = draft.webhook
    terms = Terms(
        priority=Priority(draft.priority),
        metadata=draft.metadata,
        start_within=_duration(draft.deadline_s),
        idempotency_name=idempotency_name(request),
        alias=alias,
        webhook=None if told is None else webhook_of(told, front.urls, about="job"),
    )
    if draft.dry_run:
        seen = await preview(
            draft,
            key=key,
            operation=operation,
            uploads=uploads,
            terms=terms,
            catalog=front.catalog,
            fleet=front.fleet,
            jobs=front.backends.jobs,
        )
        await limits.tell_quota(request, key)
        eta_s = front.waiters.pace.eta_s(seen.position)
        return answer(front.views.preview(seen, eta_s=eta_s))
    accepted = await submit(
        request, draft, key=key, terms=terms, operation=operation, uploads=uploads
    )
    return answer(front.views.accepted(accepted), status=HTTPStatus.ACCEPTED)


@routes.get("/v1/jobs")
async def list_jobs(request: web.Request) -> web.Response:
    """Answer with a page of the account's jobs, newest first."""
    key = await authorized(request)
    query = read_query(request)
    front = request.app[FRONT]
    try:
        page = await front.backends.jobs.list_jobs(
            key.account, limit=query.limit, after=query.after, matches=query.matches
        )
    except JobNotFound as exc:
        raise bad_cursor("job") from exc
    shown = (front.views.job(job) for job in page.jobs)
    return answer(page_of(shown, more=page.more))


@routes.get("/v1/jobs/{job_id}")
async def get_job(request: web.Request) -> web.Response:
    """Answer with the job as it stands, or as soon as it is final."""
    key = await authorized(request)
    refuse_unknown(request, "wait")
    front, job_id = request.app[FRONT], await job_id_of(request, key)
    held_s = long_poll_s(request)
    looked: Looked | None = None
    if held_s is None:
        job, looked = await front.backends.jobs.look(job_id, account=key.account)
    else:
        job = await front.waiters.wait(job_id, account=key.account, most_s=held_s)
        if preference(request).wait_s is not None:
            request[TRACE].headers["Preference-Applied"] = f"wait={held_s}"
    request[TRACE].job_id = job.id
    return await _shown(request, job, looked)


@routes.post("/v1/jobs/{job_id}/cancel")
async def cancel_job(request: web.Request) -> web.Response:
    """Make the job canceled; twice is the same as once."""
    key = await authorized(request)
    front = request.app[FRONT]
    job_id = await job_id_of(request, key)
    try:
        job = await front.intake.cancel(job_id, account=key.account)
    except AlreadyFinished:
        request[TRACE].job_id = job_id
        raise
    request[TRACE].job_id = job.id
    return answer(front.views.job(job))


@routes.post("/v1/jobs/{job_id}/retry")
async def retry_job(request: web.Request) -> web.Response:
    """Make a new job with the request of one that is final."""
    key = await authorized(request)
    await limits.count(request, key)
    front, trace = request.app[FRONT], request[TRACE]
    job_id = await job_id_of(request, key)
    job = await front.backends.jobs.get(job_id, account=key.account)
    if request.can_read_body:
        own = front.settings.limits
        read_fields(
            JobRetry,
            await read_json(request, most_bytes=own.json_bytes, within_s=own.body_s),
        )
    name = idempotency_name(request)
    accepted = await front.intake.retry(job, key=key, name=name)
    await limits.tell_quota(request, key)
    trace.job_id = accepted.job.id
    front.metrics.submitted(joined=accepted.joined)
    if accepted.joined:
        trace.headers["Idempotent-Replayed"] = "true"
    return answer(front.views.accepted(accepted), status=HTTPStatus.ACCEPTED)


@routes.post("/v1/jobs/{job_id}/release")
async def release_job(request: web.Request) -> web.Response:
    """Let a held job go on."""
    key = await authorized(request)
    job_id = await job_id_of(request, key)
    front = request.app[FRONT]
    job = await front.intake.release(job_id, account=key.account)
    request[TRACE].job_id = job.id
    return await _shown(request, job)


@routes.delete("/v1/jobs/{job_id}")
async def delete_job(request: web.Request) -> web.Response:
    """Remove the job and its images; it answers 410 from then on."""
    key = await authorized(request)
    job_id = await job_id_of(request, key)
    await request.app[FRONT].intake.delete(job_id, account=key.account)
    return web.Response(status=HTTPStatus.NO_CONTENT)


def _duration(seconds: int | None) -> timedelta | None:
    return None if seconds is None else timedelta(seconds=seconds)


async def _shown(
    request: web.Request, job: Job, looked: Looked | None = None
) -> web.Response:
    front, etag = request.app[FRONT], etag_of(job)
    headers = {"ETag": etag, "Cache-Control": "private, no-cache"}
    if _matches(request, etag):
        return web.Response(status=HTTPStatus.NOT_MODIFIED, headers=headers)
    position = await front.backends.jobs.position(job, looked)
    eta_s = None if position is None else front.waiters.pace.eta_s(position)
    return written(front.shown.text(job, position=position, eta_s=eta_s), headers)


def _matches(request: web.Request, etag: str) -> bool:
    given = request.headers.get("If-None-Match")
    if given is None:
        return False
    known = {tag.strip().removeprefix("W/") for tag in given.split(",")}
    return etag.removeprefix("W/") in known
