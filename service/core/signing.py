"""Links that read one image until a time, for whoever holds them.

    exp=1795000000&kid=5be0cd19&sig=(43 characters of base64url)

The signature covers method, key, expiry and key id. A valid query has exactly one
spelling: another order, one parameter more, a leading zero or padding are refused
before any arithmetic.
"""

import base64
import hmac
import re
from datetime import datetime

from service.core.errors import InvalidSignature, UrlExpired

SECRET_BYTES = 32

_QUERY = re.compile(
    r"exp=(?P<exp>[1-9][0-9]{0,11})&kid=(?P<kid>[0-9a-f]{8})&sig=(?P<sig>[\w-]{43})",
    re.ASCII,
)


def key_id(secret: bytes) -> str:
    """Name `secret` without giving anything of it away: eight hex digits."""
    return hmac.digest(secret, b"darkroom key id", "sha256").hex()[:8]


def sign(key: str, *, expires_at: datetime, secret: bytes) -> str:
    """Return the query that reads `key` until `expires_at`, a whole second."""
    exp, kid = int(expires_at.timestamp()), key_id(secret)
    return f"exp={exp}&kid={kid}&sig={_signature(key, exp, kid, secret)}"


def check(key: str, query: str, *, secret: bytes, at: datetime) -> None:
    """Pass in silence when `query`, as it came over the wire, reads `key` at `at`.

    Raises:
        InvalidSignature: It was not made by `sign` for this key and secret.
        UrlExpired: It was, and its time has passed.
    """
    match = _QUERY.fullmatch(query)
    if match is None or match["kid"] != key_id(secret):
        raise InvalidSignature("this URL was not signed here, or it was changed")
    exp = int(match["exp"])
    expected = _signature(key, exp, match["kid"], secret)
    if not hmac.compare_digest(match["sig"], expected):
        raise InvalidSignature("this URL was not signed here, or it was changed")
    if at.timestamp() >= exp:
        raise UrlExpired("this URL has expired: read the job again for a fresh one")


def _signature(key: str, exp: int, kid: str, secret: bytes) -> str:
    # The method stands in it so that a link to read can never be one to write.
    message = f"darkroom image url\nGET\n{key}\n{exp}\n{kid}"
    digest = hmac.digest(secret, message.encode(), "sha256")
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
