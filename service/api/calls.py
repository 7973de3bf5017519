"""Synchronous calls for images: a durable job underneath, and somebody who waits.

The connection may die, the job does not, and its id stands in the headers of
whatever answer comes. Every dialect that answers with images goes through here.
"""

import functools
from http import HTTPStatus
from typing import Annotated, Literal, NamedTuple

from aiohttp import web
from pydantic import Field

from service.accounts import ApiKey
from service.api.answers import answer
from service.api.context import FRONT, TRACE
from service.api.problems import Refused, problem_of_job, still_running
from service.api.submitting import submit
from service.api.wishes import Preference, idempotency_name, preference, sdk_retry
from service.core.jobs import Job, JobState
from service.core.requests import Priority
from service.intake import Accepted, Terms
from service.intake.draft import Draft
from service.intake.uploads import NO_UPLOADS, Uploads

_LONGEST_WAIT_S = 600


class CallDraft(Draft):
    """A draft of somebody who waits for the images, or would rather not."""

    response_format: Literal["url", "b64_json", "b64_ephemeral"] | None = None
    stream: bool | None = None
    partial_images: Annotated[int, Field(ge=0, le=3)] | None = None
    respond_async: Annotated[bool, Field(alias="async")] = False


class Made(NamedTuple):
    """A job that succeeded while its caller waited, and how it was accepted."""

    job: Job
    accepted: Accepted


async def make_images(
    request: web.Request,
    draft: CallDraft,
    *,
    key: ApiKey,
    operation: str = "generate",
    uploads: Uploads = NO_UPLOADS,
) -> Made | web.Response:
    """Submit, and wait as long as both sides have patience.

    Returns:
        The images; or the 202 that the caller asked for, ready to be sent.

    Raises:
        ServiceError: See `Intake.submit`.
        Refused: The job made no image, or not in time.
    """
    front, wish = request.app[FRONT], preference(request)
    wait_s = _patience(request, draft, wish)
    terms = Terms(
        priority=Priority.INTERACTIVE if wait_s else Priority.NORMAL,
        idempotency_name=idempotency_name(request),
        sdk_retry=sdk_retry(request) if wait_s else None,
    )
    accepted = await submit(
        request, draft, key=key, terms=terms, operation=operation, uploads=uploads
    )
    if not wait_s:
        return answer(front.views.accepted(accepted), status=HTTPStatus.ACCEPTED)
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
    if terms.sdk_retry is not None and accepted.content:
        request[TRACE].answered = functools.partial(
            front.intake.repeats.answered,
            job.id,
            key_id=key.id,
            content=accepted.content,
        )
    return Made(job, accepted)


def _patience(request: web.Request, draft: CallDraft, wish: Preference) -> float:
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
