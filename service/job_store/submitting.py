"""Submissions: gathered into shared round trips, refused in words."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
from redis.asyncio import Redis

from service.core.errors import (
    BatchOver,
    IdempotencyMismatch,
    QueueUnavailable,
    TooMuch,
)
from service.core.jobs import JobId
from service.core.periods import end_of
from service.job_store import keys
from service.job_store.answers import ANSWER_BUDGET_S, told
from service.job_store.clock import RedisClock
from service.job_store.gather import Gather
from service.job_store.records import NewJob, more_json, request_json, shown_json
from service.job_store.scripting import script
from service.job_store.times import ms, redis_now_ms

_SUBMIT_BUDGET_S = 2.0
_ABOARD, _ABREAST = 32, 2
"""Submissions that share a round trip, and round trips at once. With a single one
the front door and Redis wait for each other: 64 callers on two quiet cores got
4,800 answers/s that way and 5,900 this way."""
_SOON = timedelta(seconds=5)

_Arrival = tuple[NewJob, float]
"""A job and when it arrived, in monotonic seconds."""
_Said = tuple[bytes, Any, int, int]
"""The script's word for one job; see `submit.lua`."""


@dataclass(frozen=True, slots=True)
class Submitted:
    """What `submit` came to.

    Attributes:
        job_id: The job that answers for it.
        joined: Whether that is an earlier one.
        reserved: Quota units of its key for unfinished jobs, this one included.
        used: Quota units charged to its key this month.
    """

    job_id: JobId
    joined: bool
    reserved: int
    used: int


class Submissions:
    """Writes jobs down, several in a round trip; see `JobStore` for the arguments."""

    def __init__(
        self,
        redis: Redis,
        *,
        backlog: int,
        retention: timedelta,
        idempotency: timedelta,
    ) -> None:
        self._redis, self._backlog = redis, backlog
        self._retention_ms, self._idempotency_ms = ms(retention), ms(idempotency)
        self._submit = script(redis, "submit")
        self._clock = RedisClock()
        self._gather: Gather[_Arrival, _Said] = Gather(
            self._send, most=_ABOARD, abreast=_ABREAST
        )

    async def __call__(self, new: NewJob) -> Submitted:
        """Write a job down and ring the queue; see `JobStore.submit`."""
        code, value, reserved, used = await told(self._gather((new, time.monotonic())))
        match code:
            case b"made":
                return Submitted(new.id, False, reserved, used)
            case b"joined":
                return Submitted(JobId(value.decode()), True, reserved, used)
            case b"mismatch":
                raise mismatch()
            case b"batch_over":
                raise BatchOver("the batch has ended; no more of its lines begin")
            case b"queue_full":
                raise TooMuch(
                    f"this key already has {new.most_queued} unfinished jobs",
                    code="queue_full",
                    retry_after=_SOON,
                )
            case b"quota":
                # Open reservations may come back any moment; used units do not.
                raise TooMuch(
                    "the quota of this key is used up for this period",
                    code="quota_exceeded",
                    retry_after=_SOON if value else _until_next_period(),
                )
            case b"backlog":
                raise QueueUnavailable("the queue holds all the jobs it may")
            case _:
                raise QueueUnavailable("the queue did not answer in time")

    async def ping(self) -> None:
        """Prove that Redis takes a write; measures its clock by the way."""
        sent = time.monotonic()
        await self._redis.set(keys.CANARY, b"1", px=60_000)
        self._clock.heard(await redis_now_ms(self._redis), sent=sent)

    async def aclose(self) -> None:
        """Stop the shared round trips."""
        await self._gather.aclose()

    async def _send(self, batch: Sequence[_Arrival]) -> list[_Said]:
        async with asyncio.timeout(ANSWER_BUDGET_S):
            if not self._clock.is_known:
                await self.ping()
            sent = time.monotonic()
            args: list[Any] = [self._backlog, self._idempotency_ms, self._retention_ms]
            for new, arrived in batch:
                args += _fields(new, self._clock.at(arrived + _SUBMIT_BUDGET_S))
            answers = await self._submit(args)
        self._clock.heard(answers[0], sent=sent)
        return list(zip(*(answers[at::4] for at in range(1, 5)), strict=True))


def _fields(new: NewJob, accept_until: int) -> tuple[Any, ...]:
    return (
        new.id,
        new.account,
        new.key_id,
        new.priority.value,
        new.cost,
        request_json(new.request),
        orjson.dumps(new.metadata) if new.metadata else b"",
        accept_until,
        0 if new.start_within is None else max(1, ms(new.start_within)),
        new.units,
        "" if new.quota is None else new.quota,
        new.most_queued,
        "" if new.most_running is None else new.most_running,
        new.idempotency_name or "",
        new.content_hash,
        "" if new.webhook is None else " ".join(new.webhook.events),
        "" if new.cache_key is None or new.ephemeral else new.cache_key,
        shown_json(new.request) if new.ephemeral else b"",
        "\n".join(new.routes),
        more_json(new),
    )


def mismatch() -> IdempotencyMismatch:
    """Return what is said of a name that was used for something else."""
    return IdempotencyMismatch(
        "this Idempotency-Key, or id, was used for a request with other content"
    )


def _until_next_period() -> timedelta:
    now = datetime.now(UTC)
    return end_of(now) - now
