"""`POST /v1/images/generations` as OpenAI's SDKs speak it.

Synchronous to whoever calls, a durable job underneath: the connection may die, the
job does not, and its id stands in the headers of whatever answer comes.
"""

import asyncio
import functools
from http import HTTPStatus
from typing import Annotated, Any, Literal

import orjson
import pybase64
from aiohttp import web
from pydantic import Field

from service.api.answers import answer
from service.api.context import FRONT, TRACE
from service.api.problems import Refused, problem_of_job, still_running
from service.api.submitting import read_draft, refuse_unavailable, submit
from service.api.views import warnings
from service.api.wishes import Preference, idempotency_name, preference, sdk_retry
from service.core.errors import InvalidRequest, StoreUnavailable
from service.core.jobs import Job, JobState, StoredImage
from service.core.requests import Priority
from service.image_store import ImageStore
from service.intake import Accepted, Terms
from service.intake.draft import Draft

routes = web.RouteTableDef()

_LONGEST_WAIT_S = 600
_BASE64_MODELS = ("gpt-image-", "chatgpt-image-")
"""SDKs read base64 from these without asking for it, and never a URL."""

_NOT_YET = ("stream", "partial_images")


class ImagesDraft(Draft):
    """The body of `POST /v1/images/generations`."""

    response_format: Literal["url", "b64_json", "b64_ephemeral"] | None = None
    stream: bool | None = None
    partial_images: Annotated[int, Field(ge=0, le=3)] | None = None
    respond_async: Annotated[bool, Field(alias="async")] = False


@routes.post("/v1/images/generations")
async def generate(request: web.Request) -> web.Response:
    """Make images and wait for them, as long as both sides have patience."""
    key, draft = await read_draft(request, ImagesDraft)
    _refuse_unserved(draft)
    wish = preference(request)
    wait_s = _patience(request, draft, wish)
    terms = Terms(
        priority=Priority.INTERACTIVE if wait_s else Priority.NORMAL,
        idempotency_name=idempotency_name(request),
        sdk_retry=sdk_retry(request) if wait_s else None,
    )
    accepted = await submit(request, draft, key=key, terms=terms)
    if not wait_s:
        view = request.app[FRONT].views.accepted(accepted)
        return answer(view, status=HTTPStatus.ACCEPTED)
    front = request.app[FRONT]
    job = await front.waiters.wait(
        accepted.job.id, account=key.account, most_s=wait_s, through_drain=True
    )
    if not job.state.is_final:
        if wish.wait_s is None:
            raise Refused(still_running(job))
        view = front.views.job(job, dropped=accepted.dropped)
        return answer(view, status=HTTPStatus.ACCEPTED)
    if job.state is not JobState.SUCCEEDED:
        raise Refused(problem_of_job(job))
    response = answer(await _images(request, draft, job, accepted))
    if terms.sdk_retry is not None and accepted.content:
        request[TRACE].answered = functools.partial(
            front.repeats.answered, job.id, key_id=key.id, content=accepted.content
        )
    return response


def _refuse_unserved(draft: ImagesDraft) -> None:
    refuse_unavailable(draft, _NOT_YET)
    if draft.response_format == "b64_ephemeral":
        raise InvalidRequest(
            "b64_ephemeral is not available yet",
            code="unsupported_field",
            param="response_format",
        )


def _patience(request: web.Request, draft: ImagesDraft, wish: Preference) -> float:
    """Return for how many seconds the call is held; 0: not at all."""
    applied = request[TRACE].headers
    if wish.wait_s is not None:
        wait_s = min(wish.wait_s, _LONGEST_WAIT_S)
        applied["Preference-Applied"] = f"wait={wait_s}"
        return wait_s
    if wish.respond_async:
        applied["Preference-Applied"] = "respond-async"
    if wish.respond_async or draft.respond_async:
        return 0
    return request.app[FRONT].settings.sync_wait_s


async def _images(
    request: web.Request, draft: ImagesDraft, job: Job, accepted: Accepted
) -> dict[str, Any]:
    front = request.app[FRONT]
    if _wants_base64(draft):
        images = front.backends.images
        data = await asyncio.gather(*(_inline(images, image) for image in job.images))
    else:
        data = [front.views.image(image) for image in job.images]
    completed = job.completed_at or job.created_at
    body = {
        "created": int(completed.timestamp()),
        "data": data,
        "size": job.request.size,
        "requested_size": job.request.requested_size,
        "output_format": job.request.output_format,
    }
    if job.request.quality is not None:
        body["quality"] = job.request.quality
    if job.request.background is not None:
        body["background"] = job.request.background
    if job.usage is not None:
        body["usage"] = job.usage
    if job.error is not None:
        body["error"] = job.error
    if accepted.dropped:
        body["warnings"] = warnings(accepted.dropped)
    return body


def _wants_base64(draft: ImagesDraft) -> bool:
    if draft.response_format is not None:
        return draft.response_format == "b64_json"
    return draft.model.startswith(_BASE64_MODELS)


async def _inline(images: ImageStore, image: StoredImage) -> dict[str, Any]:
    data = await images.get(image.key)
    if data is None:
        raise StoreUnavailable("an image of this job is not in the store")
    text = pybase64.b64encode(data)
    return {
        # Megabytes of ASCII that need no second look, nor a second copy.
        "b64_json": orjson.Fragment(b'"' + text + b'"'),
        "revised_prompt": image.revised_prompt,
    }
