"""The cookie of a session: no script reads it, no other site's page makes it go out."""

from urllib.parse import SplitResult, urlsplit

from aiohttp import web

from service.accounts.sessions import LIVES
from service.api.context import FRONT

_PATH = "/ui"


def token_of(request: web.Request) -> str | None:
    """Return what the browser holds, if anything."""
    return request.cookies.get(_name(request))


def give(request: web.Request, response: web.Response, token: str) -> None:
    """Let the browser hold the token."""
    response.set_cookie(
        _name(request),
        token,
        max_age=int(LIVES.total_seconds()),
        path=_PATH,
        secure=_base(request).scheme == "https",
        httponly=True,
        samesite="Strict",
    )


def drop(request: web.Request, response: web.Response) -> None:
    """Let the browser forget it."""
    if token_of(request) is not None:
        response.del_cookie(_name(request), path=_PATH, httponly=True)


def _name(request: web.Request) -> str:
    """Return its name: browsers do not tell the ports of one machine apart."""
    return f"darkroom-session-{_base(request).port or 'web'}"


def _base(request: web.Request) -> SplitResult:
    return urlsplit(request.app[FRONT].settings.base_url)
