"""Endpoints and deliveries; all times are Unix seconds."""

from typing import Literal

from service.api.openapi.shapes import Shape

Reason = Literal[
    "exhausted", "gone", "endpoint_disabled", "endpoint_deleted", "invalid_url"
]


class Endpoint(Shape):
    """Where an account wants to hear of its events."""

    id: str
    object: Literal["endpoint"]
    url: str
    events: list[str]
    """Types, or `*`."""
    description: str
    status: Literal["enabled", "disabled"]
    disabled_reason: Literal["asked", "gone", "failing"] | None
    """Somebody asked for it; it answered 410; it failed for days."""
    disabled_at: int | None
    failing_since: int | None
    """When it began to fail, where nothing has arrived since."""
    old_secret_until: int | None
    """Until then, the secret before the last rotation signs as well."""
    created_at: int


class EndpointWithSecret(Endpoint):
    """An endpoint whose secret is new, and is shown this once."""

    secret: str
    """Signs what is sent, as Standard Webhooks says."""


class EndpointList(Shape):
    """All endpoints, oldest first."""

    object: Literal["list"]
    data: list[Endpoint]


class Delivery(Shape):
    """One event on its way to one endpoint."""

    id: str
    object: Literal["delivery"]
    event_id: str
    """The `webhook-id`, the same each time it is sent."""
    type: str
    status: Literal["pending", "delivered", "failed"]
    reason: Reason | None
    """Why it failed; `exhausted`: so did the last attempt."""
    endpoint_id: str | None
    url: str | None
    """There where the job or batch named it, and no endpoint."""
    job_id: str | None
    batch_id: str | None
    attempts: int
    created_at: int
    next_attempt_at: int | None
    completed_at: int | None


class DeliveryAttempt(Shape):
    """One attempt."""

    n: int
    """From 1, without a gap."""
    at: int
    status: int | None
    """Of the answer; null where none came."""
    ms: int
    error: (
        Literal["blocked_address", "timeout", "connection", "tls", "status", "internal"]
        | None
    )
    """Why it did not arrive."""
    answer: str
    """The first 1 KiB of it."""


class DeliveryWithLog(Delivery):
    """A delivery, and all attempts so far."""

    log: list[DeliveryAttempt]


class DeliveryList(Shape):
    """A page of deliveries, newest first."""

    object: Literal["list"]
    data: list[Delivery]
    has_more: bool
    first_id: str | None
    last_id: str | None
    """Send it as `after` for the next page."""


class DefaultSecret(Shape):
    """What signs deliveries to the URLs that jobs name."""

    key: str
