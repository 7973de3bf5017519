"""Files, endpoints and deliveries, as frozen objects; see `reading.Object`."""

from dataclasses import dataclass, field
from datetime import datetime

from service.client.reading import Object


@dataclass(frozen=True, slots=True, kw_only=True)
class File(Object):
    """An uploaded file, or what a batch wrote.

    Attributes:
        bytes: How many it has; 0 of what is written anew by each reading.
    """

    id: str
    filename: str = ""
    purpose: str = ""
    bytes: int = 0
    created_at: datetime | None = None
    expires_at: datetime | None = None
    status: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint(Object):
    """Where an account wants to hear of its events.

    Attributes:
        events: Types that are wanted; `*`: all but `job.started` and `job.progress`.
        status: `enabled` or `disabled`.
        secret: Told only by what made it.
        old_secret_until: Until then the one before it signs as well.
    """

    id: str
    url: str = ""
    events: tuple[str, ...] = ()
    description: str = ""
    status: str = ""
    disabled_reason: str | None = None
    disabled_at: datetime | None = None
    failing_since: datetime | None = None
    created_at: datetime | None = None
    secret: str | None = field(default=None, repr=False)
    old_secret_until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryAttempt(Object):
    """One attempt at a delivery.

    Attributes:
        n: From 1.
        status: Of the receiver's answer; None: none came.
        error: Why it did not arrive.
        answer: The first 1 KiB of it.
    """

    n: int = 0
    at: datetime | None = None
    status: int | None = None
    ms: int = 0
    error: str | None = None
    answer: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery(Object):
    """One event on its way to one receiver.

    Attributes:
        event_id: The `webhook-id` that the receiver sees.
        status: `pending`, `delivered` or `failed`.
        reason: Why it failed.
        endpoint_id: None: it goes to the URL that the job or batch named.
        log: Its attempts, oldest first, where one delivery was asked for.
    """

    id: str
    event_id: str = ""
    type: str = ""
    status: str = ""
    reason: str | None = None
    endpoint_id: str | None = None
    url: str | None = None
    job_id: str | None = None
    batch_id: str | None = None
    attempts: int = 0
    created_at: datetime | None = None
    next_attempt_at: datetime | None = None
    completed_at: datetime | None = None
    log: tuple[DeliveryAttempt, ...] = ()
