"""Endpoints and deliveries as their owner sees them; secrets are not in here.

All times are whole seconds since 1970, as in a job.
"""

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from service.webhooks.deliveries import Delivery, LoggedAttempt
from service.webhooks.endpoints import Endpoint


def endpoint_object(endpoint: Endpoint) -> dict[str, Any]:
    """Return the endpoint without its secret."""
    return {
        "id": endpoint.id,
        "object": "endpoint",
        "url": endpoint.url,
        "events": list(endpoint.events),
        "description": endpoint.description,
        "status": "enabled" if endpoint.enabled else "disabled",
        "disabled_reason": endpoint.reason or None,
        "disabled_at": _seconds(endpoint.disabled_at),
        "failing_since": _seconds(endpoint.failing_since),
        "old_secret_until": _seconds(_ahead(endpoint.old_until)),
        "created_at": _seconds(endpoint.created_at),
    }


def delivery_object(delivery: Delivery) -> dict[str, Any]:
    """Return the delivery without its log."""
    kind = delivery.subject.partition("_")[0]
    return {
        "id": delivery.id,
        "object": "delivery",
        "event_id": delivery.event,
        "type": delivery.type,
        "status": delivery.state,
        "reason": delivery.reason or None,
        "endpoint_id": delivery.endpoint,
        "url": delivery.url,
        "job_id": delivery.subject if kind == "job" else None,
        "batch_id": delivery.subject if kind == "batch" else None,
        "attempts": delivery.attempts,
        "created_at": _seconds(delivery.created_at),
        "next_attempt_at": _seconds(delivery.due_at),
        "completed_at": _seconds(delivery.completed_at),
    }


def log_lines(delivery: Delivery) -> list[dict[str, Any]]:
    """Return the attempts, oldest first."""
    return [_line(attempt) for attempt in delivery.log]


def _line(attempt: LoggedAttempt) -> dict[str, Any]:
    return asdict(attempt) | {"at": _seconds(attempt.at)}


def _ahead(at: datetime | None) -> datetime | None:
    return at if at is not None and at > datetime.now(UTC) else None


def _seconds(at: datetime | None) -> int | None:
    return None if at is None else int(at.timestamp())
