"""Synchronous calls for images: a durable job underneath, and somebody who waits.

The connection may die, the job does not, and its id stands in the headers of
whatever answer comes. Every dialect that answers with images goes through here.
"""

import functools
from collections.abc import Callable
from http import HTTPStatus
from typing import Annotated, Literal

from aiohttp import web
from pydantic import Field

from service.accounts import ApiKey
from service.api.answers import answer
from service.api.context import FRONT, TRACE, Front
from service.api.image_events import ImageEvents
from service.api.problems import Refused, problem_of_job, still_running
from service.api.rendering import Made, check_present
from service.api.streaming import Words, stream_images
from service.api.submitting import submit
from service.api.wishes import Preference, idempotency_name, preference, sdk_retry
from service.core.errors import InvalidRequest
from service.core.jobs import Job, JobState
from service.intake import Accepted, Terms
from service.intake.draft import Draft
from service.intake.uploads import NO_UPLOADS, Uploads

_LONGEST_WAIT_S = 600


class CallDraft(Draft):
    """A draft of somebody who waits for the images, or would rather not."""

    response_format: Literal["url", "b64_json", "b64_ephemeral"] | None = None
    """A link, the bytes as base64, or the bytes and nothing kept of them; only Redis's
    append-only file holds the prompt until its next rewrite."""
    stream: bool | None = None
    """`true` answers with events: unfinished images on the way, then finished ones."""
    partial_images: Annotated[int, Field(ge=0, le=3)] | None = None
    """How many unfinished states of the image a stream is to show."""
    safety_identifier: str | None = None
    """OpenAI's newer name for `user`; it wins over the older."""
    respond_async: Annotated[bool, Field(alias="async")] = False
    """`true` answers at once, with the job; `Prefer: respond-async` says the same."""

    @property
    def is_ephemeral(self) -> bool:
        """Whether nothing is to be kept once the answer has gone out."""
        return self.response_format == "b64_ephemeral"


async def make_images(
    request: web.Request,
    draft: CallDraft,
    *,
    key: ApiKey,
    operation: str = "generate",
    uploads: Uploads = NO_UPLOADS,
    stream_words: Callable[[Front, Accepted], Words] | None = None,
) -> Made | web.StreamResponse:
    """Submit, and wait as long as both sides have patience.

    Args:
        request: Whose call it is.
        draft: What the caller wrote.
        key: Who calls.
        operation: `generate`, `edit` or `variation`.
        uploads: The images that came along.
        stream_words: What the dialect calls the things that a stream tells; None: as
            OpenAI's images API does.

    Returns:
        The images; or an answer that needs nothing more: the 202 that the caller
        asked for, or the stream, which has been sent.

    Raises:
        ServiceError: See `Intake.submit`.
        Refused: The job made no image, or not in time.
    """
    if draft.safety_identifier is not None:
        draft = draft.model_copy(update={"user": draft.safety_identifier})
    front, wish = request.app[FRONT], preference(request)
    wait_s = _patience(request, draft, wish)
    _check(draft, waits=wait_s > 0)
    terms = _terms(request, draft, waits=wait_s > 0)
    accepted = await submit(
        request, draft, key=key, terms=terms, operation=operation, uploads=uploads
    )
    if not wait_s:
        return answer(front.views.accepted(accepted), status=HTTPStatus.ACCEPTED)
    if draft.stream:
        tells = functools.partial(ImageEvents, inline=draft.response_format != "url")
        words = (stream_words or tells)(front, accepted)
        return await _streamed(request, accepted, terms, words=words, most_s=wait_s)
    job = await front.waiters.wait(
        accepted.job.id, account=key.account, most_s=wait_s, through_drain=True
    )
    if job.state.is_final:
        _settle_behind(request, job, accepted, terms)
        _check_success(job)
        return Made(job, accepted)
    if wish.wait_s is None:
        raise Refused(still_running(job))
    view = front.views.job(job, dropped=accepted.dropped)
    return answer(view, status=HTTPStatus.ACCEPTED)


async def _streamed(
    request: web.Request,
    accepted: Accepted,
    terms: Terms,
    *,
    words: Words,
    most_s: float,
) -> web.StreamResponse:
    earlier = accepted.job
    if isinstance(earlier, Job) and earlier.state.is_final:
        _check_success(earlier)  # there still is a status to say it with
    streamed = await stream_images(request, accepted, words=words, most_s=most_s)
    if streamed.job is not None:
        _settle_behind(request, streamed.job, accepted, terms)
    if streamed.problem is not None:
        raise Refused(streamed.problem)
    return streamed.response


def _check_success(job: Job) -> None:
    """Check that a final job has images.

    Raises:
        Refused: It made none.
        JobDeleted: It was ephemeral, and they were delivered before.
    """
    if job.state is not JobState.SUCCEEDED:
        raise Refused(problem_of_job(job))
    check_present(job)


def _check(draft: CallDraft, *, waits: bool) -> None:
    """Refuse what only makes sense for somebody who waits, or who streams.

    Raises:
        InvalidRequest: `incompatible_options`.
    """
    if draft.partial_images and not draft.stream and draft.strict:
        raise InvalidRequest(
            "partial_images needs stream",
            code="incompatible_options",
            param="partial_images",
        )
    if waits:
        return
    for param, said in (
        ("stream", draft.stream),
        ("response_format", draft.is_ephemeral),
    ):
        if said:
            raise InvalidRequest(
                f"{param} is for a caller who waits for the images, and this one "
                "asks for the job instead",
                code="incompatible_options",
                param=param,
            )


def _terms(request: web.Request, draft: CallDraft, *, waits: bool) -> Terms:
    return Terms(
        awaited=waits,
        idempotency_name=idempotency_name(request),
        sdk_retry=sdk_retry(request) if waits else None,
        ephemeral=draft.is_ephemeral,
        partial_images=(draft.partial_images or 0) if draft.stream else 0,
    )


def _settle_behind(
    request: web.Request, job: Job, accepted: Accepted, terms: Terms
) -> None:
    """Note what is to be done once the answer has gone out whole, and only then."""
    repeatable = terms.sdk_retry is not None and accepted.content != ""
    is_answered = repeatable and job.state is JobState.SUCCEEDED
    if not is_answered and not job.ephemeral:
        return
    intake = request.app[FRONT].intake

    async def settle() -> None:
        if is_answered:
            await intake.repeats.answered(
                job.id, key_id=job.key_id, content=accepted.content
            )
        if job.ephemeral:
            await intake.purge(job.id)

    request[TRACE].answered = settle


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
    if draft.stream:  # its comments keep the connection open
        return _LONGEST_WAIT_S
    return request.app[FRONT].settings.sync_wait_s
