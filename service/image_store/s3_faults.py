"""What a store's refusal means and what to do about it, in one sentence each.

The sentences are for operators: they name addresses and settings.
"""

from collections.abc import Mapping

from service.core.errors import StoreRefused, StoreUnavailable
from service.image_store.bucket import Bucket

PASSING = frozenset({429, 500, 502, 503, 504})
"""Statuses behind which the same call may succeed later."""

_KEYS = "DARKROOM_STORAGE__ACCESS_KEY_ID and DARKROOM_STORAGE__SECRET_ACCESS_KEY"
_REGION = (
    "the bucket {name} is not in the region {region}: set DARKROOM_STORAGE__REGION"
)
_EXPIRED = "the store says that our credentials have expired: renew them"

_SENTENCES: Mapping[str, str] = {
    "NoSuchBucket": (
        "there is no bucket {name} at {url}: make it, or set DARKROOM_STORAGE__BUCKET"
    ),
    "InvalidAccessKeyId": f"the store does not know the access key: check {_KEYS}",
    "SignatureDoesNotMatch": (
        f"the store does not accept our signature: check {_KEYS}, and that nothing "
        "before the store changes the host"
    ),
    "RequestTimeTooSkewed": (
        "the clocks of this machine and of the store differ too much: synchronize them"
    ),
    "AccessDenied": (
        "the store forbids it: allow this key s3:PutObject, s3:GetObject, "
        "s3:DeleteObject and s3:ListBucket on the bucket {name}"
    ),
    "AuthorizationHeaderMalformed": _REGION,
    "PermanentRedirect": _REGION,
    "ExpiredToken": _EXPIRED,
    "InvalidToken": _EXPIRED,
}


def refused(bucket: Bucket, status: int, body: bytes) -> StoreUnavailable:
    """Name the fault behind an answer that is not a success."""
    code = bucket.fault_code(status, body)
    sentence = _SENTENCES.get(code, "the image store answered {status} ({code})")
    fault = StoreUnavailable if status in PASSING else StoreRefused
    return fault(
        sentence.format(
            name=bucket.name,
            region=bucket.region,
            url=bucket.url,
            status=status,
            code=code,
        )
    )


def unreachable(bucket: Bucket, exc: BaseException) -> StoreUnavailable:
    """Name the fault behind an answer that never came."""
    reason = str(exc) or type(exc).__name__
    return StoreUnavailable(
        f"the image store does not answer at {bucket.url} ({reason}): "
        "is it running, and is DARKROOM_STORAGE__ENDPOINT_URL right?"
    )
