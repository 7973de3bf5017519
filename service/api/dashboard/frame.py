"""Around every page: who looks, whether a form is ours, and how errors look.

    pages = Pages()

    @pages.get("/ui/jobs")
    async def show_jobs(request: web.Request, key: ApiKey) -> web.StreamResponse: ...

Handlers raise what the API's do; it becomes a page that says what to do.
"""

from collections.abc import Awaitable, Callable
from functools import wraps
from http import HTTPStatus
from urllib.parse import quote, urlsplit

import structlog
from aiohttp import web

from service.accounts import ApiKey, Scope
from service.api.context import FRONT, TRACE
from service.api.dashboard import cookie
from service.api.dashboard.rendering import SINCE, page, wants_part
from service.api.problems import INTERNAL, Problem, Refused, problem_of, problem_of_http
from service.core.errors import Forbidden, ServiceError, Unauthenticated
from service.events import id_of

log = structlog.get_logger()

Handler = Callable[[web.Request, ApiKey], Awaitable[web.StreamResponse]]
Decorator = Callable[[Handler], Handler]
_Plain = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Pages:
    """The routes of one module of pages.

    Args:
        scope: Who may come here, as far as a route says nothing else; the others
            are told that there is no such page. None: everybody who has signed in.
        live: Whether pages follow events, from the moment before they are made.
    """

    def __init__(self, *, scope: Scope | None = None, live: bool = True) -> None:
        self.routes = web.RouteTableDef()
        self._scope, self._live = scope, live

    def get(self, path: str, *, scope: Scope | None = None) -> Decorator:
        """Show something."""
        return self._route("GET", path, scope)

    def post(self, path: str, *, scope: Scope | None = None) -> Decorator:
        """Do something, for forms of ours only."""
        return self._route("POST", path, scope)

    def _route(self, method: str, path: str, scope: Scope | None) -> Decorator:
        wanted = scope or self._scope

        def register(handler: Handler) -> Handler:
            @wraps(handler)
            async def served(request: web.Request) -> web.StreamResponse:
                key = await signed_in(request)
                if wanted is not None and wanted not in key.scopes:
                    raise web.HTTPNotFound
                if self._live and method == "GET" and not wants_part(request):
                    log = request.app[FRONT].hub.log
                    request[SINCE] = id_of((await log.standing(key.account)).newest)
                return await handler(request, key)

            self.routes.route(method, path)(framed(served))
            return handler

        return register


def framed(handler: _Plain) -> _Plain:
    """Return the handler with forms of others refused, and errors as pages."""

    @wraps(handler)
    async def served(request: web.Request) -> web.StreamResponse:
        try:
            if request.method not in {"GET", "HEAD"}:
                _check_origin(request)
            return await handler(request)
        except Unauthenticated as exc:
            return _to_sign_in(request, exc)
        except Exception as exc:  # noqa: BLE001 - a page says what went wrong
            return _shown(request, _problem(request, exc))

    return served


def _problem(request: web.Request, error: Exception) -> Problem:
    """Return what the page says; a bug of ours is logged."""
    known = None
    match error:
        case Refused():
            known = error.problem
        case ServiceError():
            known = problem_of(error)
        case web.HTTPClientError():
            known = problem_of_http(error)
    if known is None:
        log.error("page.crashed", request_id=request[TRACE].request_id, exc_info=error)
    return known or INTERNAL


async def signed_in(request: web.Request) -> ApiKey:
    """Return the key that whoever looks has signed in with.

    Raises:
        Unauthenticated: Nobody has, or the key is good no longer.
    """
    token = cookie.token_of(request)
    if token is None:
        raise Unauthenticated("sign in first", code="missing_key")
    key = await request.app[FRONT].sessions.key_of(token)
    request[TRACE].key = key
    return key


def go(request: web.Request, place: str) -> web.Response:
    """Return the answer to a form that was taken: look there now."""
    if "HX-Request" in request.headers:
        return web.Response(headers={"HX-Redirect": place})
    return web.Response(status=HTTPStatus.SEE_OTHER, headers={"Location": place})


def _check_origin(request: web.Request) -> None:
    """Refuse what a page of somebody else's made a browser send.

    `Sec-Fetch-Site` comes with https and on the machine itself, `Origin` always.

    Raises:
        Forbidden: `foreign_origin`.
    """
    site = request.headers.get("Sec-Fetch-Site")
    if site == "same-origin":
        return
    origin = request.headers.get("Origin", "")
    parts = urlsplit(origin)
    ours = request.app[FRONT].settings.base_url
    is_ours = bool(parts.netloc) and (
        parts.netloc == request.headers.get("Host") or origin == ours
    )
    if site is not None or not is_ours:
        raise Forbidden(
            "this form was not sent by a page of this dashboard", code="foreign_origin"
        )


def _to_sign_in(request: web.Request, reason: Unauthenticated) -> web.Response:
    request[TRACE].code = reason.code
    place, back = "/ui/sign-in", _looked_at(request)
    if back.startswith("/ui/") and not back.startswith(place):
        place += f"?next={quote(back, safe='/')}"
        if reason.code != "missing_key":
            place += f"&why={reason.code}"
    response = go(request, place)
    cookie.drop(request, response)
    return response


def _looked_at(request: web.Request) -> str:
    """Return the page that is to come back; empty: none."""
    shown = request.headers.get("HX-Current-URL")
    if shown is not None:
        parts = urlsplit(shown)
        return f"{parts.path}?{parts.query}" if parts.query else parts.path
    return request.rel_url.raw_path_qs if request.method == "GET" else ""


def _shown(request: web.Request, problem: Problem) -> web.Response:
    trace = request[TRACE]
    trace.code = problem.code
    response = page(
        request,
        "problem.html",
        key=trace.key,
        part="notice",
        status=problem.status,
        problem=problem,
        request_id=trace.request_id,
    )
    response.headers.update(problem.headers)
    response.headers.popall("WWW-Authenticate", None)
    if wants_part(request):
        response.headers["HX-Retarget"] = "#notices"
        response.headers["HX-Reswap"] = "innerHTML"
    return response
