"""What every route that makes a job does alike."""

from collections.abc import Sequence
from typing import Any, TypeVar

from aiohttp import web

from service.accounts import ApiKey
from service.api import limits
from service.api.auth import authorized
from service.api.body import read_json
from service.api.context import FRONT, TRACE
from service.core.errors import InvalidRequest
from service.intake import Accepted, Terms
from service.intake.draft import Draft
from service.intake.fields import read_fields
from service.intake.uploads import NO_UPLOADS, Uploads

_D = TypeVar("_D", bound=Draft)


async def read_draft(request: web.Request, kind: type[_D]) -> tuple[ApiKey, _D]:
    """Authenticate, count and read one submission.

    Raises:
        RequestError: No key, a key that sent too many, or a body that is wrong.
    """
    key = await authorized(request)
    await limits.count(request, key)
    own = request.app[FRONT].settings.limits
    fields = await read_json(request, most_bytes=own.json_bytes, within_s=own.body_s)
    return key, read_fields(kind, fields)


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
    accepted = await front.intake.submit(
        draft, key=key, terms=terms, operation=operation, uploads=uploads
    )
    trace.job_id = accepted.job.id
    front.metrics.submitted(joined=accepted.joined)
    if accepted.joined:
        trace.headers["Idempotent-Replayed"] = "true"
    return accepted


def refuse_unavailable(draft: Draft, names: Sequence[str]) -> None:
    """Refuse fields of the documented API that nobody serves yet.

    Raises:
        InvalidRequest: One of them says anything (`unsupported_field`).
    """
    for name in names:
        said: Any = getattr(draft, name)
        if said:
            raise InvalidRequest(
                f"{name} is not available yet", code="unsupported_field", param=name
            )
