"""Signing in with an API key, and out again."""

from urllib.parse import urlsplit

from aiohttp import web

from service.accounts import ApiKey, Scope
from service.api.context import FRONT, TRACE
from service.api.dashboard import cookie
from service.api.dashboard.forms import read_form_fields
from service.api.dashboard.frame import Pages, framed, go
from service.api.dashboard.nav import places_of
from service.api.dashboard.rendering import page
from service.core.errors import Unauthenticated

routes = web.RouteTableDef()
pages = Pages()

_WHY = {
    "session_over": "You were signed out after twelve quiet hours.",
    "key_revoked": "The key you had signed in with was revoked.",
    "key_expired": "The key you had signed in with has expired.",
}


@pages.get("/ui")
async def show_first(request: web.Request, key: ApiKey) -> web.StreamResponse:
    """Lead to where one begins."""
    return go(request, places_of(key)[0].path)


@routes.get("/ui/sign-in")
@framed
async def show_sign_in(request: web.Request) -> web.StreamResponse:
    """Ask for a key."""
    why = _WHY.get(request.query.get("why", ""))
    return _asked(request, why=why)


@routes.post("/ui/sign-in")
@framed
async def sign_in(request: web.Request) -> web.StreamResponse:
    """Open a session, where the key is good."""
    front = request.app[FRONT]
    fields = await read_form_fields(request)
    secret = fields.get("key", "").strip()
    if not secret:
        return _asked(request, wrong="Paste an API key first.")
    try:
        key = await front.backends.accounts.authenticate(secret)
    except Unauthenticated as exc:
        request[TRACE].code = exc.code
        return _asked(request, wrong=_sentence(exc))
    request[TRACE].key = key
    if key.scopes <= {Scope.EMBED}:
        return _asked(
            request, wrong="This key is for embed links only; sign in with another."
        )
    before = cookie.token_of(request)
    if before is not None:
        await front.sessions.end(before)
    response = go(request, _next(request))
    cookie.give(request, response, await front.sessions.open(key))
    return response


@pages.post("/ui/sign-out")
async def sign_out(request: web.Request, _: ApiKey) -> web.StreamResponse:
    """End the session."""
    token = cookie.token_of(request)
    if token is not None:
        await request.app[FRONT].sessions.end(token)
    response = go(request, "/ui/sign-in")
    cookie.drop(request, response)
    return response


def _asked(
    request: web.Request, *, wrong: str | None = None, why: str | None = None
) -> web.Response:
    status = 200 if wrong is None else 401
    return page(request, "sign_in.html", key=None, status=status, wrong=wrong, why=why)


def _sentence(error: Unauthenticated) -> str:
    text = str(error)
    return f"{text[0].upper()}{text[1:]}."


def _next(request: web.Request) -> str:
    """Return where to go now: a page of ours, whatever the address says."""
    wanted = request.query.get("next", "")
    parts = urlsplit(wanted)
    is_plain = wanted.isascii() and wanted.isprintable() and "\\" not in wanted
    is_ours = is_plain and not parts.scheme and not parts.netloc
    return wanted if is_ours and wanted.startswith("/ui/") else "/ui"
