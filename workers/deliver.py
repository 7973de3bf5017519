"""The task that runs deliveries: one event, sent once, to whoever asked for it.

    2xx                        -> delivered
    410                        -> failed, and the receiver hears no more
    anything else, or nothing  -> again, as the schedule says; failed behind its end

A delivery is sent at least once: a worker that dies between the receiver's answer and
the log is followed by one that sends it again, under the same `webhook-id`.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from service import tracing
from service.core.errors import QueueUnavailable
from service.core.webhooks import Schedule
from service.webhooks import Ending, Parcel, Settled
from service.webhooks.endpoints import default_secret
from workers.channels import Channel, Message, Reply
from workers.payloads import Payloads

log = structlog.get_logger()

_PAUSE_S = 0.5
_MOST_KNOWN = 10_000


class Secrets:
    """The accounts' own secrets, which never change."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._known: dict[str, str] = {}

    async def of(self, account: str) -> str:
        """Return the account's secret.

        Raises:
            RedisError: Redis is away.
        """
        if account not in self._known:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            self._known[account] = await default_secret(self._redis, account)
        return self._known[account]


async def _in_no_trace(_: Parcel) -> None:
    """Know of no trace."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliverContext:
    """What the task works with.

    Attributes:
        traced: Returns the `traceparent` of what an event is of.
        dice: See `Schedule.wait_after`.
    """

    payloads: Payloads
    channel: Channel
    secrets: Secrets
    schedule: Schedule
    traced: Callable[[Parcel], Awaitable[str | None]] = _in_no_trace
    dice: Callable[[], float] = field(default=random.random)


async def deliver(ctx: dict[str, Any], parcel: Parcel) -> Settled:
    """Send a delivery once; return what came of it."""
    own: DeliverContext = ctx["deliver"]
    message = await _message(own, parcel)
    at, begun = datetime.now(UTC), time.monotonic()
    above = await own.traced(parcel) if tracing.is_on() else None
    with tracing.span("deliver", parent=above, kind="producer") as span:
        span.note(darkroom_delivery_id=parcel.id, darkroom_event=parcel.type)
        reply = await own.channel.send(message)
        ids = tracing.ids()
    took_ms = int((time.monotonic() - begun) * 1000)
    log.info(
        "delivery.sent",
        delivery_id=parcel.id,
        attempt=parcel.attempts + 1,
        status=reply.status,
        error=reply.error,
        took_ms=took_ms,
        **ids,
    )
    wait = own.schedule.wait_after(parcel.tries + 1, dice=own.dice())
    return _settled(reply, wait, at=at, took_ms=took_ms)


async def _message(own: DeliverContext, parcel: Parcel) -> Message:
    while True:
        try:
            secrets = parcel.secrets or (await own.secrets.of(parcel.account),)
            body = await own.payloads.body(parcel)
        except (
            QueueUnavailable,
            RedisError,
            OSError,
        ):  # what came of it could not be written down, either
            await asyncio.sleep(_PAUSE_S)
        else:
            return Message(
                event=parcel.event, url=parcel.url, body=body, secrets=secrets
            )


def _settled(
    reply: Reply, wait: timedelta | None, *, at: datetime, took_ms: int
) -> Settled:
    end: Ending
    match reply:
        case Reply(error=None):
            end, wait = "delivered", None
        case Reply(status=HTTPStatus.GONE):
            end, wait = "gone", None
        case _:
            end = "exhausted" if wait is None else "again"
    return Settled(
        next=end,
        wait=wait or timedelta(0),
        at=at,
        status=reply.status,
        took_ms=took_ms,
        error=reply.error,
        answer=reply.body,
    )
