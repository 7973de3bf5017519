"""Who pays for an embedded image: a key in the link, its seal, or a header."""

from datetime import UTC, datetime

import structlog
from aiohttp import web

from service.accounts import ApiKey, Scope
from service.api.auth import authenticated
from service.api.context import FRONT, TRACE
from service.api.dialects.embed.query import EmbedQuery
from service.core.errors import InvalidRequest

log = structlog.get_logger()

_HEADERS = ("Authorization", "X-API-Key")


async def find_caller(request: web.Request, query: EmbedQuery) -> ApiKey:
    """Return the key that the image is charged to.

    Raises:
        InvalidRequest: There is more than one (`ambiguous_auth`), or one that may not
            stand in a link (`key_not_for_urls`).
        Unauthenticated: There is none, or none that is valid.
        InvalidSignature: The seal is not ours; UrlExpired: its time has passed.
    """
    in_headers = any(name in request.headers for name in _HEADERS)
    if in_headers + (query.key is not None) + (query.seal is not None) > 1:
        raise InvalidRequest("send one API key, in one place", code="ambiguous_auth")
    key = await _found(request, query)
    request[TRACE].key = key
    if query.key is not None and Scope.EMBED not in key.scopes:
        # Whoever reads the page has it now; its owner should know.
        log.warning("key.exposed", key_id=key.id, account=key.account)
        raise InvalidRequest(
            "this key may not stand in a URL, where others read it: revoke it, and "
            "make one with the scope embed",
            code="key_not_for_urls",
        )
    return key


async def _found(request: web.Request, query: EmbedQuery) -> ApiKey:
    accounts = request.app[FRONT].backends.accounts
    if query.key is not None:
        return await accounts.authenticate(query.key)
    if query.seal is None:
        return await authenticated(request)
    secret = await accounts.link_secret()
    query.embed.check(query.seal, secret=secret, at=datetime.now(UTC))
    return await accounts.find(query.seal.kid)
