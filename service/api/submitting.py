"""What every route that makes a job does alike."""

from typing import Any, Generic, NamedTuple, TypeVar

from aiohttp import web

from service.accounts import ApiKey
from service.api import limits
from service.api.auth import authorized
from service.api.body import FORM, JSON, media_type
from service.api.context import FRONT, TRACE
from service.api.data_urls import read_json_with_images
from service.api.input_images import InputImages
from service.api.multipart import read_form
from service.core.errors import InvalidRequest, TooMuch
from service.intake import Accepted, Terms
from service.intake.draft import Draft
from service.intake.fields import read_fields
from service.intake.spool import Spool
from service.intake.uploads import NO_UPLOADS, Uploads

_D = TypeVar("_D", bound=Draft)


class Submission(NamedTuple, Generic[_D]):
    """Who sent what.

    Attributes:
        key: Who calls.
        draft: The fields.
        uploads: The images that came along.
    """

    key: ApiKey
    draft: _D
    uploads: Uploads


async def read_submission(request: web.Request, kind: type[_D]) -> Submission[_D]:
    """Authenticate, count and read one submission, in JSON or as a form, with images.

    Images stand in `image`, `image[]`, `images`, `images[]`, `mask` or `mask[]`,
    which `kind` need not know. Their bytes are there until the answer is made.

    Raises:
        RequestError: No key, a key that sent too many, or a body that is wrong.
        Unavailable: There is no room for it.
    """
    key = await authorized(request)
    await limits.count(request, key)
    settings = request.app[FRONT].settings
    is_form = media_type(request) == FORM
    if is_form:
        fields, uploads = await read_form(
            request, limits=settings.limits, spool=spool_of(request)
        )
    else:
        fields, images = await read_object(request), InputImages()
        images.take_from(fields)
        uploads = images.uploads()
    if settings.default_model is not None and fields.get("model") is None:
        fields["model"] = settings.default_model
    return Submission(key, read_fields(kind, fields, text=is_form), uploads)


async def read_object(request: web.Request) -> dict[str, Any]:
    """Read a JSON object in which a `Held` stands for each image given as data URL.

    Raises:
        RequestError: The body is none.
        Unavailable: There is no room for it.
    """
    if media_type(request) != JSON:
        raise InvalidRequest(
            f"Content-Type must be {JSON}", code="unsupported_media_type"
        )
    own = request.app[FRONT].settings.limits
    return await read_json_with_images(request, limits=own, spool=spool_of(request))


def spool_of(request: web.Request) -> Spool:
    """Return where what comes along is held until the request is answered."""
    trace = request[TRACE]
    if trace.spool is None:
        trace.spool = Spool()
    return trace.spool


async def submit(
    request: web.Request,
    draft: Draft,
    *,
    key: ApiKey,
    terms: Terms,
    operation: str = "generate",
    uploads: Uploads = NO_UPLOADS,
) -> Accepted:
    """Submit; whatever answer comes names the job.

    Raises:
        ServiceError: See `Intake.submit`.
    """
    front, trace = request.app[FRONT], request[TRACE]
    try:
        accepted = await front.intake.submit(
            draft, key=key, terms=terms, operation=operation, uploads=uploads
        )
    except TooMuch as exc:
        exc.retry_after = limits.patience(request, exc)
        await limits.tell_quota(request, key)
        raise
    await limits.tell_quota(request, key, accepted.balance)
    if trace.spool is not None:
        trace.spool.close()  # a call that waits for its images waits without them
    trace.job_id = accepted.job.id
    front.metrics.submitted(joined=accepted.joined)
    if draft.cache:
        trace.headers["X-Cache"] = "HIT" if accepted.joined else "MISS"
    if accepted.joined and (terms.has_name or terms.sdk_retry):
        trace.headers["Idempotent-Replayed"] = "true"
    return accepted
