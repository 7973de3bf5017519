"""How a call that failed becomes one of our errors; the same for every adapter.

What counts is what we know about the money. A call that never left can be made
again; one that left without an answer may have been billed. A gateway that gave up
waiting (504) says nothing about the server behind it, so it is the second kind.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from service.core.errors import (
    BadOutput,
    ProviderAmbiguous,
    ProviderError,
    ProviderRefused,
    ProviderThrottled,
    ProviderUnavailable,
)
from service.outbound import Answer, NotSent, OutboundError, WrongAnswer

_SECONDS = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?")


@contextmanager
def outbound_errors() -> Iterator[None]:
    """Turn what goes wrong in a call to the provider into a ProviderError."""
    try:
        yield
    except NotSent as exc:
        raise ProviderUnavailable("the provider cannot be reached") from exc
    except WrongAnswer as exc:
        raise BadOutput("the provider's answer is too long") from exc
    except OutboundError as exc:
        raise ProviderAmbiguous(
            "the provider took the request and did not answer"
        ) from exc


def refusal(answer: Answer, *, upstream_id: str | None = None) -> ProviderError:
    """Return the error that the status of `answer` stands for."""
    wait = retry_after(answer, now=datetime.now(UTC))
    match answer.status, wait:
        case ((401 | 403), _):
            return unauthorized(upstream_id=upstream_id)
        case 402, _:
            return unpaid(upstream_id=upstream_id)
        case (429, _) | (503, timedelta()):
            return ProviderThrottled(
                "the provider is too busy", retry_after=wait, upstream_id=upstream_id
            )
        case ((504 | 524), _):
            return ProviderAmbiguous(
                "the provider's gateway gave up on its answer", upstream_id=upstream_id
            )
        case status, _ if status in {408, 424, 425, *range(500, 600)}:
            return ProviderUnavailable("the provider failed", upstream_id=upstream_id)
        case _:
            return ProviderRefused(
                "the provider does not accept this request",
                code="provider_invalid_request",
                upstream_id=upstream_id,
            )


def unauthorized(*, upstream_id: str | None = None) -> ProviderRefused:
    """Return the error for a key of ours that the provider does not take."""
    return ProviderRefused(
        "the provider does not accept our API key",
        code="provider_auth",
        upstream_id=upstream_id,
    )


def unpaid(*, upstream_id: str | None = None) -> ProviderRefused:
    """Return the error for an account of ours that has no credit left."""
    return ProviderRefused(
        "our account at the provider has no credit left",
        code="provider_billing",
        upstream_id=upstream_id,
    )


def retry_after(answer: Answer, *, now: datetime) -> timedelta | None:
    """Return how long `answer` asks to wait; None: it does not say, or nonsense."""
    text = answer.headers.get("Retry-After", "").strip()
    if _SECONDS.fullmatch(text):
        return timedelta(seconds=float(text))
    try:
        wait = parsedate_to_datetime(text).astimezone(UTC) - now
    except (ValueError, OverflowError):
        return None
    return wait if wait > timedelta(0) else None
