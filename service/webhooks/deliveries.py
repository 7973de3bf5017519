"""Deliveries: what was sent, what is on its way, and what never arrived."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

import orjson
from redis.asyncio import Redis

from service.core.errors import NotFound
from service.job_store import keys
from service.job_store.answers import within
from service.job_store.listing import newest
from service.job_store.times import clock_ms, maybe_time_of, time_of
from service.webhooks.endpoints import made
from service.webhooks.scripting import script

STATES = ("pending", "delivered", "failed")
_LOG = "log:"
_FIELDS = (
    *("account", "event", "type", "subject", "endpoint", "webhook", "state"),
    *("reason", "attempts", "created_ms", "completed_ms"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedAttempt:
    """One attempt at a delivery.

    Attributes:
        n: From 1, without a gap.
        status: Of the answer; None: none came.
        ms: How long it took.
        error: Why it did not arrive: `blocked_address`, `timeout`, `connection`,
            `tls`, `status`; None: it did.
        answer: The first 1 KiB of it, as text.
    """

    n: int
    at: datetime
    status: int | None
    ms: int
    error: str | None
    answer: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One event on its way to one endpoint.

    Attributes:
        event: Its id, the same however often it is sent: the `webhook-id`.
        subject: The job, batch or endpoint it is about.
        endpoint: None: it goes to the URL that the job or batch named.
        state: `pending` (in work, too), `delivered` or `failed`.
        reason: Why it failed: `exhausted` (after the last attempt), `gone`,
            `endpoint_disabled`, `endpoint_deleted`, `invalid_url`; ''.
        due_at: Of a pending one: when it is tried next; None: it waits in line, or is
            in work.
        log: The attempts, where they were asked for.
    """

    id: str
    account: str
    event: str
    type: str
    subject: str
    endpoint: str | None
    url: str | None
    state: str
    reason: str
    attempts: int
    created_at: datetime
    completed_at: datetime | None = None
    due_at: datetime | None = None
    log: tuple[LoggedAttempt, ...] = ()


class Page(NamedTuple):
    """Deliveries newest first; `more` when older ones follow."""

    deliveries: tuple[Delivery, ...]
    more: bool


class Deliveries:
    """All accounts' deliveries; any call may raise QueueUnavailable."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._redeliver = script(redis, "redeliver")

    async def get(self, delivery_id: str, *, account: str) -> Delivery:
        """Return the delivery with its log, if it is the account's.

        Raises:
            NotFound: It is not, or it was forgotten long since.
        """
        async with self._redis.pipeline(transaction=False) as pipe:
            pipe.hgetall(keys.delivery(delivery_id))
            pipe.zscore(keys.DELIVER, delivery_id)
            stored, due_ms = await within(pipe.execute())
        fields = {name.decode(): value for name, value in stored.items()}
        if fields.get("account") != account.encode():
            raise NotFound("no such delivery")
        return _read(delivery_id, fields, due_ms)

    async def page(
        self,
        account: str,
        *,
        limit: int,
        after: str | None = None,
        matches: Callable[[Delivery], bool] = lambda _: True,
    ) -> Page:
        """Return up to `limit` deliveries that match, newest first, without logs.

        Looks at no more than the newest 10,000 behind `after`.

        Raises:
            NotFound: `after` is not a delivery of the account.
        """
        listed = await newest(
            self._redis,
            keys.deliveries(account),
            self._some,
            limit=limit,
            after=after,
            matches=matches,
        )
        if listed is None:
            raise NotFound("no such delivery")
        return Page(listed.found, more=listed.more)

    async def redeliver(self, delivery_id: str, *, account: str) -> Delivery:
        """Send it once more, from the beginning of the schedule.

        Raises:
            NotFound: It is not the account's.
            EndpointDisabled: Its endpoint is to hear of nothing, or deleted.
        """
        answer = await within(self._redeliver([delivery_id, account]))
        made(answer.decode())
        return await self.get(delivery_id, account=account)

    async def figures(self) -> tuple[dict[str, int], float]:
        """Return how attempts went so far, and how late the oldest is, in seconds."""
        async with self._redis.pipeline(transaction=False) as pipe:
            pipe.hgetall(f"{keys.DELIVER}:counts")
            pipe.zrange(keys.DELIVER, 0, 0, withscores=True)
            pipe.time()
            counts, oldest, clock = await within(pipe.execute())
        late_s = 0.0
        if oldest:
            late_s = max(0.0, clock_ms(clock) - oldest[0][1]) / 1000
        return {name.decode(): int(count) for name, count in counts.items()}, late_s

    async def _some(self, ids: Sequence[str]) -> list[Delivery]:
        async with self._redis.pipeline(transaction=False) as pipe:
            for delivery_id in ids:
                pipe.hmget(keys.delivery(delivery_id), list(_FIELDS))
                pipe.zscore(keys.DELIVER, delivery_id)
            answers = await within(pipe.execute())
        rows = zip(ids, answers[::2], answers[1::2], strict=True)
        return [
            _read(delivery_id, _named(values), due_ms)
            for delivery_id, values, due_ms in rows
            if values[0] is not None
        ]


def _named(values: Sequence[bytes | None]) -> dict[str, bytes]:
    pairs = zip(_FIELDS, values, strict=True)
    return {name: value for name, value in pairs if value is not None}


def _read(
    delivery_id: str, stored: Mapping[str, bytes], due_ms: float | None
) -> Delivery:
    fields = {n: v.decode() for n, v in stored.items() if not n.startswith(_LOG)}
    own = orjson.loads(fields["webhook"]) if fields["webhook"] else {}
    is_waiting = fields["state"] == "pending" and due_ms is not None
    return Delivery(
        id=delivery_id,
        account=fields["account"],
        event=fields["event"],
        type=fields["type"],
        subject=fields["subject"],
        endpoint=fields["endpoint"] or None,
        url=own.get("url"),
        state="pending" if fields["state"] == "running" else fields["state"],
        reason=fields.get("reason", ""),
        attempts=int(fields["attempts"]),
        created_at=time_of(fields["created_ms"]),
        completed_at=maybe_time_of(fields.get("completed_ms")),
        due_at=time_of(int(due_ms or 0)) if is_waiting else None,
        log=_log(stored),
    )


def _log(stored: Mapping[str, bytes]) -> tuple[LoggedAttempt, ...]:
    numbers = sorted(int(n.removeprefix(_LOG)) for n in stored if n.startswith(_LOG))
    return tuple(_attempt(n, orjson.loads(stored[f"{_LOG}{n}"])) for n in numbers)


def _attempt(n: int, line: Mapping[str, Any]) -> LoggedAttempt:
    return LoggedAttempt(
        n=n,
        at=time_of(line["at_ms"]),
        status=line["status"],
        ms=line["ms"],
        error=line["error"],
        answer=line["answer"],
    )
