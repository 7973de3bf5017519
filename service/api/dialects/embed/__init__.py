"""`GET /embed/image:{model}`: an image for an `<img>` tag, as rout.my serves it.

All readers of a page open its link at once, so the first of them makes the job and
the others join it, over all front doors; who opens it later gets what is stored.
Whoever hangs up leaves alone: the job is everybody's.
"""

import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import NamedTuple

from aiohttp import web

from service.accounts import ApiKey
from service.api import limits
from service.api.context import FRONT, TRACE, Front
from service.api.dialects.embed.caller import find_caller
from service.api.dialects.embed.query import read_query
from service.api.dialects.embed.sign import sign
from service.api.problems import Problem, Refused, problem_of_job, still_running
from service.api.serving import serve_image
from service.api.submitting import submit
from service.core.catalog import Model
from service.core.embeds import Embed, Seal
from service.core.errors import JobNotFound
from service.core.jobs import Job, JobId, JobState
from service.core.requests import Priority
from service.intake import Accepted, Terms
from service.intake.draft import Draft
from service.intake.embeds import check_embed
from service.intake.uploads import Uploads, linked

routes = web.RouteTableDef()
routes.post("/v1/embed/sign")(sign)

_FAILED_FOR = timedelta(seconds=10)
"""How long an image that could not be made is not tried again."""

_YEAR_S = 31_536_000
_AGAIN_AFTER_S = 2
_PURPOSES = ("Sec-Purpose", "Purpose", "X-Purpose", "X-Moz")
_FORESIGHT = ("prefetch", "prerender", "preview")


class _Shown(NamedTuple):
    job: Job
    is_hit: bool


@routes.get(r"/embed/image:{model:[\s\S]+}")
async def get_image(request: web.Request) -> web.Response:
    """Answer with the image itself, made now if nobody has asked for it before."""
    trace, front = request[TRACE], request.app[FRONT]
    trace.headers["Cache-Control"] = "no-store"  # of whatever error comes
    query = read_query(request)
    key = await find_caller(request, query)
    model = check_embed(query.embed, key=key, catalog=front.catalog)
    job, is_hit = await _found_or_made(request, query.embed, key=key, model=model)
    headers = {
        "X-Cache": "HIT" if is_hit else "MISS",
        "Cache-Control": _cache_control(query.seal),
        "Vary": "Authorization, X-API-Key",
    }
    images = front.backends.images
    try:
        response = await serve_image(request, job.images[0], images, headers=headers)
    except JobNotFound:
        await front.backends.jobs.lose(job.id)
        job, _ = await _found_or_made(request, query.embed, key=key, model=model)
        headers["X-Cache"] = "MISS"
        response = await serve_image(request, job.images[0], images, headers=headers)
    del trace.headers["Cache-Control"]
    return response


async def _found_or_made(
    request: web.Request, embed: Embed, *, key: ApiKey, model: Model
) -> _Shown:
    """Return the job that has the image.

    Raises:
        ServiceError: See `Intake.submit`.
        Refused: There is no image, or not in time, or only a look was asked for.
    """
    front, trace = request.app[FRONT], request[TRACE]
    cache_key = embed.cache_key(model.name)
    job = await front.backends.jobs.latest(key.account, cache_key)
    if job is not None and job.state is JobState.SUCCEEDED and not job.lost:
        trace.job_id = job.id
        return _Shown(job, is_hit=True)
    if _only_looks(request):
        raise Refused(_NOT_CACHED)
    if job is not None and not job.state.is_final:
        trace.job_id = job.id
        return _Shown(await _waited(front, job.id, key), is_hit=True)
    if job is not None and _failed_lately(job):
        trace.job_id = job.id
        raise Refused(problem_of_job(job))
    accepted = await _submit(request, embed, key=key, model=model)
    job = await _waited(front, accepted.job.id, key)
    return _Shown(job, is_hit=accepted.joined)


async def _submit(
    request: web.Request, embed: Embed, *, key: ApiKey, model: Model
) -> Accepted:
    await limits.count(request, key)
    links = [linked("references", link) for link in embed.references]
    draft = Draft.model_validate(
        {
            "model": embed.model,
            "prompt": embed.prompt,
            "output_format": model.output_formats[0],
        }
    )
    terms = Terms(priority=Priority.INTERACTIVE, cache_key=embed.cache_key(model.name))
    return await submit(
        request,
        draft,
        key=key,
        terms=terms,
        operation="edit" if links else "generate",
        uploads=Uploads(links),
    )


async def _waited(front: Front, job_id: JobId, key: ApiKey) -> Job:
    job = await front.waiters.wait(
        job_id,
        account=key.account,
        most_s=front.settings.sync_wait_s,
        through_drain=True,
    )
    if not job.state.is_final:
        raise Refused(_not_yet(job))
    if job.state is not JobState.SUCCEEDED:
        raise Refused(problem_of_job(job))
    return job


def _only_looks(request: web.Request) -> bool:
    """Whether nobody sees the image yet: a browser that plans ahead, or a HEAD."""
    purposes = [request.headers.get(name, "").lower() for name in _PURPOSES]
    foresees = any(word in said for said in purposes for word in _FORESIGHT)
    return foresees or request.method == "HEAD"


def _failed_lately(job: Job) -> bool:
    ended = job.completed_at
    if job.state is not JobState.FAILED or ended is None:
        return False
    return datetime.now(UTC) - ended < _FAILED_FOR


def _cache_control(seal: Seal | None) -> str:
    """Let everybody keep what a signed link shows; a key's owner alone the rest."""
    if seal is None:
        return f"private, max-age={_YEAR_S}, immutable"
    left_s = int(seal.exp) - int(time.time())  # signed, so it is a number
    return f"public, max-age={max(0, min(left_s, _YEAR_S))}, immutable"


def _not_yet(job: Job) -> Problem:
    return replace(
        still_running(job),
        message=f"the image is not ready yet; job {job.id} goes on, and whoever asks "
        "for the image again waits for it",
        headers={"x-should-retry": "true", "Retry-After": str(_AGAIN_AFTER_S)},
    )


_NOT_CACHED = Problem(
    status=HTTPStatus.NOT_FOUND,
    code="not_cached",
    message="this image is not made yet, and a look ahead does not make it",
)
