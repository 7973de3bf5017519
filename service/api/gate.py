"""The gate every request comes in and goes out by.

It gives the request its id, turns errors into the envelope, names the job in the
headers, counts, and writes the one log line: template of the route, never its
query; ids, never keys, prompts or bodies.
"""

import asyncio
import re
import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import cast

import structlog
from aiohttp import HttpVersion10, HttpVersion11, web

from service import tracing
from service.api.context import FRONT, TRACE, Front, Trace
from service.api.problems import (
    INTERNAL,
    MALFORMED,
    Refused,
    problem_of,
    problem_of_http,
)
from service.core.errors import ServiceError

log = structlog.get_logger()

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]

_SANE_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
_QUIET_ROUTES = frozenset({"/health", "/healthz", "/readyz", "/metrics"})
_NO_ROUTE = "-"
_CHUNKED = "chunked"
_CODED = replace(MALFORMED, message="a body may be sent as chunked, but not compressed")
_VERSIONS = frozenset({HttpVersion10, HttpVersion11})
_UNREAD = frozenset(
    {
        "body_incomplete",
        "body_timeout",
        "body_too_large",
        "file_too_large",
        "invalid_multipart",
        "line_too_long",
        "malformed_request",
        "too_many_lines",
        "too_many_parts",
    }
)
"""Codes behind which the rest of a body may still be on its way."""

SERVER = "darkroom"


class Gate:
    """Wraps the application's own handler."""

    def __init__(self, app: web.Application, handler: Handler) -> None:
        self._app, self._handler = app, handler
        self._log = log.bind()  # the lazy one finds its configuration on every call
        self._under_way = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self.draining = False

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        """Serve one request; never raises but for a cancellation."""
        begun = time.perf_counter()
        trace = Trace(request_id_of(request))
        request[TRACE] = trace
        self._under_way += 1
        self._idle.clear()
        above = request.headers.get("traceparent")
        with tracing.span("request", parent=above, kind="server") as span:
            try:
                response = await self._served(request, trace)
            finally:
                if trace.spool is not None:
                    trace.spool.close()
                self._under_way -= 1
                if not self._under_way:
                    self._idle.set()
            if not response.prepared:
                sign(response, trace, self._app[FRONT])
            if self.draining:
                response.force_close()
            self._record(request, response, trace, time.perf_counter() - begun)
            _describe(span, request, response, trace)
        return response

    async def drained(self) -> None:
        """Return when no request is under way."""
        await self._idle.wait()

    async def _served(
        self, request: web.BaseRequest, trace: Trace
    ) -> web.StreamResponse:
        try:
            _check_head(request)
            return await self._handler(request)
        except Refused as exc:
            problem = exc.problem
        except web.HTTPException as exc:
            problem = problem_of_http(exc)
        except ServiceError as exc:
            known = problem_of(exc)
            problem = known or INTERNAL
            if known is None:
                log.exception("request.crashed", request_id=trace.request_id)
        except Exception:
            log.exception("request.crashed", request_id=trace.request_id)
            problem = INTERNAL
        if trace.reworded is not None:
            problem = trace.reworded(problem)
        trace.code = problem.code
        response = problem.response(trace.request_id)
        if problem.code in _UNREAD:
            response.force_close()
        return response

    def _record(
        self,
        request: web.BaseRequest,
        response: web.StreamResponse,
        trace: Trace,
        seconds: float,
    ) -> None:
        route, method = _template(request), request.method
        self._app[FRONT].metrics.answered(
            method=method,
            route=route,
            status=response.status,
            seconds=seconds,
            code=trace.code,
        )
        fields: dict[str, object] = {
            "request_id": trace.request_id,
            "method": method[:16],
            "route": route,
            "status": response.status,
            "ms": round(seconds * 1000, 1),
        }
        if trace.key is not None:
            fields["key_id"] = trace.key.id
            fields["account"] = trace.key.account
        if trace.job_id is not None:
            fields["job_id"] = trace.job_id
        if trace.code is not None:
            fields["code"] = trace.code
        fields |= tracing.ids()
        write = self._log.debug if route in _QUIET_ROUTES else self._log.info
        write("request.finished", **fields)


def _describe(
    span: tracing.Span,
    request: web.BaseRequest,
    response: web.StreamResponse,
    trace: Trace,
) -> None:
    if not tracing.is_on():
        return
    route = _template(request)
    span.name(f"{request.method[:16]} {route}")
    span.note(http_route=route, http_status_code=response.status)
    span.note(darkroom_request_id=trace.request_id)
    if trace.job_id is not None:
        span.note(darkroom_job_id=trace.job_id)


def mark(response: web.StreamResponse, request_id: str) -> None:
    """Write into the headers what even an answer to no request has.

    A browser takes it for nothing but what it says that it is, and nobody on the way
    keeps it who was not told to.
    """
    headers = response.headers
    headers["x-request-id"] = request_id
    headers["Server"] = SERVER
    headers["X-Content-Type-Options"] = "nosniff"
    if "Cache-Control" not in headers:
        headers["Cache-Control"] = "no-store"


def sign(response: web.StreamResponse, trace: Trace, front: Front) -> None:
    """Write into the headers what every answer has in common."""
    headers = response.headers
    mark(response, trace.request_id)
    if trace.job_id is not None:
        headers["x-job-id"] = trace.job_id
        if "Location" not in headers:
            headers["Location"] = front.views.link(trace.job_id)
    if trace.headers:
        headers.update(trace.headers)


def request_id_of(request: web.BaseRequest) -> str:
    """Return the caller's own id where it is a sane one, else a new one."""
    given = request.headers.get("X-Request-ID")
    if given is not None and _SANE_ID.fullmatch(given):
        return given
    return f"req_{secrets.token_hex(12)}"


def _check_head(request: web.BaseRequest) -> None:
    """Refuse what is for a proxy, or in a version or coding not spoken here.

    The parser minds only that a coding ends with chunks.

    Raises:
        Refused: `malformed_request`.
        HTTPNotFound: The target names a host, or none of our paths.
    """
    if request.version not in _VERSIONS:
        raise Refused(MALFORMED)
    if request.headers.get("Transfer-Encoding", _CHUNKED).lower() != _CHUNKED:
        raise Refused(_CODED)
    if not request.raw_path.startswith("/"):
        raise web.HTTPNotFound


def _template(request: web.BaseRequest) -> str:
    match = cast("web.Request", request)._match_info  # noqa: SLF001 - may be absent
    resource = None if match is None else match.route.resource
    return _NO_ROUTE if resource is None else resource.canonical
