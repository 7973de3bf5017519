"""Who calls: one key, in one header."""

from aiohttp import web

from service.accounts import ApiKey, Scope
from service.api.context import FRONT, TRACE
from service.core.errors import Forbidden, InvalidRequest, Unauthenticated


async def authorized(request: web.Request, *, scope: Scope = Scope.GENERATE) -> ApiKey:
    """Return the key that the request was sent with.

    Raises:
        Unauthenticated: There is none, or none that is valid.
        Forbidden: It has not the scope (`key_scope`).
        InvalidRequest: There is more than one (`ambiguous_auth`).
    """
    key = await authenticated(request)
    if scope not in key.scopes:
        raise Forbidden(f"this key does not have the scope {scope.value}")
    return key


async def operating(request: web.Request) -> ApiKey:
    """Return the key of an operator; for others there is nothing here.

    Raises:
        Unauthenticated: There is no key, or none that is valid.
        HTTPNotFound: It has not the scope `admin`.
        InvalidRequest: There is more than one (`ambiguous_auth`).
    """
    key = await authenticated(request)
    if Scope.ADMIN not in key.scopes:
        raise web.HTTPNotFound
    return key


async def authenticated(request: web.Request) -> ApiKey:
    """Return the key that the request was sent with, whatever it is for.

    Raises:
        Unauthenticated: There is none, or none that is valid.
        InvalidRequest: There is more than one (`ambiguous_auth`).
    """
    accounts = request.app[FRONT].backends.accounts
    key = await accounts.authenticate(_secret(request))
    request[TRACE].key = key
    return key


async def authorized_unless_open(request: web.Request) -> ApiKey | None:
    """Return the key; None: there is none, and the catalog is open to everybody.

    Raises:
        RequestError: See `authorized`; a key that was sent must be right.
    """
    sent = "Authorization" in request.headers or "X-API-Key" in request.headers
    if not sent and request.app[FRONT].settings.open_catalog:
        return None
    return await authorized(request)


def _secret(request: web.Request) -> str:
    bearer = request.headers.getall("Authorization", ())
    plain = request.headers.getall("X-API-Key", ())
    in_query = "?" in request.raw_path and "key" in request.query
    if len(bearer) + len(plain) + in_query > 1:
        raise InvalidRequest("send one API key, in one place", code="ambiguous_auth")
    if plain:
        return plain[0]
    if not bearer:
        raise _missing()
    scheme, _, secret = bearer[0].partition(" ")
    if scheme.lower() != "bearer":
        raise Unauthenticated(
            "send the API key as Authorization: Bearer KEY",
            code="unsupported_auth_scheme",
        )
    if not secret.strip():
        raise _missing()
    return secret.strip()


def _missing() -> Unauthenticated:
    return Unauthenticated(
        "send an API key as Authorization: Bearer KEY", code="missing_key"
    )
