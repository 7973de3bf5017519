"""Errors to status and body: the one mapping table.

A class is looked up along its own ancestry, so a new `RequestError` is a 400 until
someone says otherwise. What stands in no table is a bug of ours: a logged 500 that
says nothing.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from http import HTTPStatus
from typing import Any

from aiohttp import web

from service.api.answers import answer, envelope
from service.core import errors
from service.core.jobs import Job, JobState

_STATUS: Mapping[type[errors.ServiceError], int] = {
    errors.Unauthenticated: HTTPStatus.UNAUTHORIZED,
    errors.Forbidden: HTTPStatus.FORBIDDEN,
    errors.UrlExpired: HTTPStatus.FORBIDDEN,
    errors.InvalidSignature: HTTPStatus.FORBIDDEN,
    errors.UnknownModel: HTTPStatus.NOT_FOUND,
    errors.NotFound: HTTPStatus.NOT_FOUND,
    errors.Deleted: HTTPStatus.GONE,
    errors.AlreadyFinished: HTTPStatus.CONFLICT,
    errors.NotFinished: HTTPStatus.CONFLICT,
    errors.NotHeld: HTTPStatus.CONFLICT,
    errors.BatchOver: HTTPStatus.CONFLICT,
    errors.RequestGone: HTTPStatus.CONFLICT,
    errors.EndpointDisabled: HTTPStatus.CONFLICT,
    errors.InvalidReference: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.IdempotencyMismatch: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.TooMuch: HTTPStatus.TOO_MANY_REQUESTS,
    errors.RequestError: HTTPStatus.BAD_REQUEST,
    errors.Unavailable: HTTPStatus.SERVICE_UNAVAILABLE,
}
_BODY_STATUS: Mapping[str, int] = {
    "body_timeout": HTTPStatus.REQUEST_TIMEOUT,
    "body_too_large": HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    "file_too_large": HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    "unsupported_charset": HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    "unsupported_encoding": HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    "unsupported_media_type": HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
}
"""Codes of reading a body that have a status of their own."""

_FAILED_STATUS: Mapping[str, int] = {
    "content_policy": HTTPStatus.BAD_REQUEST,
    "provider_invalid_request": HTTPStatus.BAD_REQUEST,
    "no_route": HTTPStatus.SERVICE_UNAVAILABLE,
    "provider_throttled": HTTPStatus.SERVICE_UNAVAILABLE,
    "provider_unavailable": HTTPStatus.SERVICE_UNAVAILABLE,
    "input_missing": HTTPStatus.INTERNAL_SERVER_ERROR,
    "internal": HTTPStatus.INTERNAL_SERVER_ERROR,
    "poison": HTTPStatus.INTERNAL_SERVER_ERROR,
}
"""What a job failed with, told to a caller who waited; anything else is a 502."""

_ENDED: Mapping[JobState, str] = {
    JobState.CANCELED: "the job was canceled",
    JobState.EXPIRED: "the job did not start before its deadline",
}
_WORTH_ANOTHER = frozenset({"provider_throttled", "provider_unavailable"})
"""Failures that cost nothing, so that an SDK may send the call again."""

_HTTP_CODES: Mapping[int, str] = {
    404: "not_found",
    405: "method_not_allowed",
    413: "body_too_large",
    417: "expectation_failed",
}
_KINDS: Mapping[int, str] = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
}
_NO_RETRY = {"x-should-retry": "false"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """An error as it goes over the wire.

    Attributes:
        kind: What `type` says; None: OpenAI's word for the status.
    """

    status: int
    code: str
    message: str
    param: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    kind: str | None = None

    def body(self, request_id: str) -> dict[str, Any]:
        """Return the envelope."""
        return envelope(
            message=self.message,
            kind=self.kind or _kind(self.status),
            code=self.code,
            param=self.param,
            request_id=request_id,
        )

    def response(self, request_id: str) -> web.Response:
        """Return the answer."""
        body = self.body(request_id)
        return answer(body, status=self.status, headers=self.headers)


class Refused(Exception):
    """A handler's answer is this problem, which no error of `core` describes."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.code)
        self.problem = problem


INTERNAL = Problem(
    status=500,
    code="internal",
    message="an internal error; it was logged under this request id",
)


MALFORMED = Problem(
    status=HTTPStatus.BAD_REQUEST,
    code="malformed_request",
    message="this is not a well-formed HTTP request",
)


def problem_of(error: errors.ServiceError) -> Problem | None:
    """Return what a caller is told of `error`; None: it is a bug of ours."""
    statuses = (_STATUS[kind] for kind in type(error).__mro__ if kind in _STATUS)
    status = _BODY_STATUS.get(error.code) or next(statuses, None)
    if status is None:
        return None
    return Problem(
        status=status,
        code=error.code,
        message=str(error),
        param=error.param if isinstance(error, errors.RequestError) else None,
        headers=_headers(error),
    )


def problem_of_http(error: web.HTTPException) -> Problem:
    """Return what aiohttp refuses by itself, in our words."""
    allowed = error.headers.get("Allow")
    return Problem(
        status=error.status,
        code=_HTTP_CODES.get(error.status, "invalid_http"),
        message=HTTPStatus(error.status).phrase.lower(),
        headers={} if allowed is None else {"Allow": allowed},
    )


def problem_of_job(job: Job) -> Problem:
    """Return what a caller who waited is told of a job that made no image."""
    if job.state in _ENDED:
        return Problem(
            status=HTTPStatus.CONFLICT,
            code=job.state.value,
            message=_ENDED[job.state],
            headers=_NO_RETRY,
        )
    failure = job.error or {"code": "internal", "message": INTERNAL.message}
    code = failure["code"]
    return Problem(
        status=_FAILED_STATUS.get(code, HTTPStatus.BAD_GATEWAY),
        code=code,
        message=failure["message"],
        headers=_retry_after(_SOON) if code in _WORTH_ANOTHER else _NO_RETRY,
    )


_SOON = timedelta(seconds=2)


def still_running(job: Job) -> Problem:
    """Return what a caller is told whose patience was longer than ours."""
    return Problem(
        status=HTTPStatus.GATEWAY_TIMEOUT,
        code="still_running",
        message=f"the images are not ready yet; job {job.id} goes on, "
        "and the same call sent again by an SDK waits for it",
        headers={"x-should-retry": "true"},
    )


def _headers(error: errors.ServiceError) -> Mapping[str, str]:
    match error:
        case errors.Unauthenticated():
            return {"WWW-Authenticate": "Bearer"}
        case errors.TooMuch() | errors.Unavailable():
            return _retry_after(error.retry_after)
        case errors.BatchBegunAnew():
            return {"x-should-retry": "true", **_retry_after(_SOON)}
        case errors.AlreadyFinished():
            return _NO_RETRY
        case _:
            return {}


def _retry_after(wait: timedelta) -> Mapping[str, str]:
    return {
        "Retry-After": str(max(1, math.ceil(wait.total_seconds()))),
        "retry-after-ms": str(max(1, math.ceil(wait / timedelta(milliseconds=1)))),
    }


def _kind(status: int) -> str:
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return "server_error"
    return _KINDS.get(status, "invalid_request_error")
