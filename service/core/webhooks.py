"""Standard Webhooks: how a delivery is signed, and when it is tried again.

    webhook-id         evt_...      the same each time an event is sent
    webhook-timestamp  1795270464   of this attempt
    webhook-signature  v1,bm9ldHUldjKzFob8VNduzuk8+raE0ujl3aNFs6nhX0o= v1,...

A secret is `whsec_` and standard base64 of 24 to 64 bytes. While one is being
rotated there are two signatures, and receivers take whichever they can check.
"""

import base64
import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache

from service.core.errors import InvalidRequest

_PREFIX = "whsec_"
_LEAST_BYTES, _MOST_BYTES, _USUAL_BYTES = 24, 64, 32

JOB_ENDS = ("job.succeeded", "job.failed", "job.canceled", "job.expired")
JOB_STEPS = ("job.started", "job.progress")
HELD = "job.held"
"""It waits until somebody lets it go on; each attempt may end so."""
BATCH_STEPS = (
    "batch.in_progress",
    "batch.completed",
    "batch.failed",
    "batch.expired",
    "batch.cancelling",
    "batch.cancelled",
)
DISABLED = "endpoint.disabled"
TEST = "endpoint.test"
"""Told only to the endpoint that is tried out, whatever it wants to hear of."""


def new_secret() -> str:
    """Return a secret that nobody has."""
    return _PREFIX + base64.b64encode(secrets.token_bytes(_USUAL_BYTES)).decode()


def checked_secret(text: str, *, param: str) -> str:
    """Return a secret that somebody else chose.

    Raises:
        InvalidRequest: It is none (`invalid_secret`).
    """
    try:
        key = base64.b64decode(text.removeprefix(_PREFIX), validate=True)
    except ValueError:
        key = b""
    if not text.startswith(_PREFIX) or not _LEAST_BYTES <= len(key) <= _MOST_BYTES:
        raise InvalidRequest(
            f"{param} must be {_PREFIX} and standard base64 of "
            f"{_LEAST_BYTES} to {_MOST_BYTES} bytes",
            code="invalid_secret",
            param=param,
        )
    return text


def signed(
    body: bytes, *, event: str, at_s: int, secrets: Sequence[str]
) -> dict[str, str]:
    """Return the headers that say who sends `body`.

    Args:
        body: As it goes over the wire.
        event: Its id; without dots, which stand between what is signed.
        at_s: Unix seconds of this attempt.
        secrets: One signature each, in this order.
    """
    message = b".".join((event.encode(), str(at_s).encode(), body))
    return {
        "webhook-id": event,
        "webhook-timestamp": str(at_s),
        "webhook-signature": " ".join(_signature(message, s) for s in secrets),
    }


def _signature(message: bytes, secret: str) -> str:
    digest = hmac.digest(_key(secret), message, "sha256")
    return "v1," + base64.b64encode(digest).decode()


@lru_cache(maxsize=1000)
def _key(secret: str) -> bytes:
    return base64.b64decode(secret.removeprefix(_PREFIX))


@dataclass(frozen=True, slots=True)
class Schedule:
    """When a delivery that failed is tried again.

    Attributes:
        waits: Before the second attempt, the third and so on; there is one attempt
            more than there are waits.
    """

    waits: tuple[timedelta, ...]

    _JITTER = 0.2

    def wait_after(self, attempts: int, *, dice: float) -> timedelta | None:
        """How long to wait after `attempts` failures; None means give up.

        Args:
            attempts: Failed attempts so far, at least 1.
            dice: A number in [0, 1); 0.0 waits a fifth less than the schedule says,
                1.0 would wait a fifth more.
        """
        if attempts > len(self.waits):
            return None
        return self.waits[attempts - 1] * (1 + self._JITTER * (2 * dice - 1))

    @property
    def patience(self) -> timedelta:
        """The longest that all waits together may be."""
        return sum(self.waits, timedelta(0)) * (1 + self._JITTER)
