"""Requests and URLs as a store wants them signed; all arithmetic is botocore's.

Over TLS the body goes unsigned, which saves hashing it; over plain HTTP its SHA-256
is part of the signature. A URL names a GET of one key and nothing else: whatever is
changed or added in it makes it void.
"""

from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.config import Config

from service.image_store import SignedUrl
from service.image_store.credentials import MARGIN, Held

_LONGEST = timedelta(days=7)
_SHORTEST = timedelta(seconds=1)
_SIGN_BODY = Config(s3={"payload_signing_enabled": True})
_TRUST_TLS = Config(s3={"payload_signing_enabled": False})


def signed_headers(
    method: str,
    url: str,
    *,
    held: Held,
    region: str,
    headers: dict[str, str],
    data: bytes,
) -> dict[str, str]:
    """Return `headers` and the ones that make a store accept this very request.

    `Host` is among them, so that what is signed is what is sent.
    """
    scheme, host, *_ = urlsplit(url)
    request = AWSRequest(method, url, headers={**headers, "Host": host}, data=data)
    request.context["client_config"] = _TRUST_TLS if scheme == "https" else _SIGN_BODY
    S3SigV4Auth(held.frozen, "s3", region).add_auth(request)
    return dict(request.headers.items())


def signed_url(
    url: str, *, held: Held, region: str, lifetime: timedelta, at: datetime
) -> SignedUrl:
    """Return `url` signed for reading.

    It lasts for `lifetime` in whole seconds, but never beyond seven days, nor beyond
    the last minute of the credentials: stores refuse such URLs or end them early.
    """
    lifetime = min(lifetime, _LONGEST)
    if held.expires_at is not None:
        lifetime = min(lifetime, held.expires_at - MARGIN - at)
    seconds = int(max(lifetime, _SHORTEST).total_seconds())
    request = AWSRequest("GET", url)
    S3SigV4QueryAuth(held.frozen, "s3", region, expires=seconds).add_auth(request)
    signed_at = datetime.fromisoformat(request.context["timestamp"]).astimezone(UTC)
    return SignedUrl(str(request.url), signed_at + timedelta(seconds=seconds))
