"""Jobs in Redis: the record is the truth, the queue's entry only a bell.

`JobStore` is the front door's side (submit, read, cancel, delete);
`service.job_store.leases` is the worker's. Each step is one Lua script; the key
schema stands in `service.job_store.keys`. All times in a record are Redis's own.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
from redis.asyncio import Redis
from redis.exceptions import RedisError

from service.core.errors import (
    AlreadyFinished,
    IdempotencyMismatch,
    JobDeleted,
    JobNotFound,
    QueueUnavailable,
    TooMuch,
)
from service.core.jobs import Job, JobId, JobState, is_job_id
from service.core.periods import end_of
from service.core.requests import Priority
from service.job_store import keys
from service.job_store.clock import RedisClock
from service.job_store.gather import Gather
from service.job_store.outlook import place_of_next
from service.job_store.records import NewJob, read_job, request_json, shown_json
from service.job_store.scripting import script

_SUBMIT_BUDGET_S = 2.0
_ANSWER_BUDGET_S = 2.8
_ABOARD, _ABREAST = 32, 2
"""Submissions that share a round trip, and round trips at once. With a single one
the front door and Redis wait for each other: 64 callers on two quiet cores got
4,800 answers/s that way and 5,900 this way."""
_SCAN_LIMIT = 10_000
_STEP = 200
_GONE_FOR = timedelta(days=30)
_UNWRITTEN_FOR = timedelta(hours=1)
_SOON = timedelta(seconds=5)

_Arrival = tuple[NewJob, float]
"""A job and when it arrived, in monotonic seconds."""


@dataclass(frozen=True, slots=True)
class Submitted:
    """What `submit` came to: `joined` means an earlier job answers for this one."""

    job_id: JobId
    joined: bool


@dataclass(frozen=True, slots=True)
class Page:
    """Jobs newest first; `more` when older ones follow."""

    jobs: tuple[Job, ...]
    more: bool


class JobStore:
    """The front door's side of the records.

    Every call may raise QueueUnavailable: Redis is away, refuses, or took longer
    than three seconds; a refused submission is never written later either.
    """

    def __init__(
        self,
        redis: Redis,
        *,
        backlog: int = 1_000_000,
        retention: timedelta = timedelta(days=7),
        idempotency: timedelta = timedelta(days=1),
    ) -> None:
        self._redis, self._backlog = redis, backlog
        self._retention_ms = _ms(retention)
        self._idempotency_ms = _ms(idempotency)
        self._submit = script(redis, "submit")
        self._cancel = script(redis, "cancel")
        self._forget = script(redis, "forget")
        self._purge = script(redis, "purge")
        self._clock = RedisClock()
        self._submissions: Gather[_Arrival, tuple[bytes, Any]] = Gather(
            self._send, most=_ABOARD, abreast=_ABREAST
        )
        self._reads: Gather[JobId, dict[bytes, bytes]] = Gather(self._read)

    async def submit(self, new: NewJob) -> Submitted:
        """Write a job down and ring the queue; again with the same id is harmless.

        Raises:
            IdempotencyMismatch: The name was used for a request with other content.
            TooMuch: `queue_full` or `quota_exceeded` for this key.
            QueueUnavailable: Nothing was written, nor will be.
        """
        code, value = await _told(self._submissions((new, time.monotonic())))
        match code:
            case b"made":
                return Submitted(new.id, joined=False)
            case b"joined":
                return Submitted(JobId(value.decode()), joined=True)
            case b"mismatch":
                raise _mismatch()
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

    async def get(self, job_id: str, *, account: str) -> Job:
        """Return the job as it stands, if it is the account's.

        Raises:
            JobNotFound: Never made, or somebody else's.
            JobDeleted: It was the account's.
        """
        if not is_job_id(job_id):
            raise JobNotFound("no such job")
        stored = await _told(self._reads(JobId(job_id)))
        if stored and stored[b"account"] == account.encode():
            return read_job(JobId(job_id), stored)
        if not stored:
            owner = await _within(self._redis.get(keys.gone(job_id)))
            if owner == account.encode():
                raise JobDeleted("this job was deleted")
        raise JobNotFound("no such job")

    async def cached(self, account: str, cache_key: str) -> Job | None:
        """Return the job that a submission with that key would join now, if any.

        For those who would rather not upload or fetch anything first; it may have
        changed by the time they submit.
        """
        job = await self.latest(account, cache_key)
        return job if job is not None and _answers(job) else None

    async def latest(self, account: str, cache_key: str) -> Job | None:
        """Return the last job with that key, if any, whatever became of it."""
        job_id = await _within(self._redis.get(keys.cache(account, cache_key)))
        if job_id is None:
            return None
        jobs = await self._jobs([JobId(job_id.decode())])
        return jobs[0] if jobs else None

    async def named(self, account: str, name: str, content_hash: str) -> Job | None:
        """Return the job that a submission under that name would join, if any.

        Raises:
            IdempotencyMismatch: The name was used for a request with other content.
        """
        stored = await _within(self._redis.get(keys.named(account, name)))
        if stored is None:
            return None
        job_id, _, seen = stored.decode().partition(" ")
        found = await self._jobs([JobId(job_id)])
        if found and seen != content_hash:
            raise _mismatch()
        return found[0] if found else None

    async def announce(self, job_id: JobId) -> None:
        """Say that images of a job come before its record, an hour at most.

        Whatever lies in the store under an id announced and never submitted, the
        sweep removes.
        """
        await _within(self._announce(job_id))

    async def list_jobs(
        self,
        account: str,
        *,
        limit: int,
        after: str | None = None,
        matches: Callable[[Job], bool] = lambda _: True,
    ) -> Page:
        """Return up to `limit` jobs that match, newest first, behind job `after`.

        Looks at no more than the newest 10,000 behind `after`.

        Raises:
            JobNotFound: `after` is not a job of the account.
        """
        index, found = keys.jobs_of(account), list[Job]()
        start = 0
        if after is not None:
            rank = await _within(self._redis.zrevrank(index, after))
            if rank is None:
                raise JobNotFound("no such job")
            start = rank + 1
        at, step, end = start, limit + 1, start + _SCAN_LIMIT
        while at < end:
            ids = await _within(self._redis.zrevrange(index, at, at + step - 1))
            for job in await self._jobs([JobId(i.decode()) for i in ids]):
                if matches(job):
                    found.append(job)
            if len(found) > limit or len(ids) < step:
                break
            at, step = at + step, _STEP
        return Page(tuple(found[:limit]), more=len(found) > limit)

    async def position(self, job: Job) -> int | None:
        """How many jobs of its lane start before it, and itself: 1 is next.

        Where its key has as many running as it may: how many of the key's.
        """
        if job.state is not JobState.QUEUED or job.due_at is not None:
            return None
        lane = keys.lane(job.priority, job.interruptions)
        ranks = await _within(self._ranks(job.id, lane, keys.waiting(job.key_id)))
        return next((int(rank) + 1 for rank in ranks if rank is not None), None)

    async def place_of_next(
        self,
        account: str,
        priority: Priority,
        *,
        key_id: str,
        running: int | None = None,
    ) -> int:
        """Return the `position` that a job submitted now would have."""
        place: int = await _within(
            place_of_next(
                self._redis, account, priority, key_id=key_id, running=running
            )
        )
        return place

    async def cancel(self, job_id: str, *, account: str) -> Job:
        """Make the job canceled, a running one too; twice is the same as once.

        Raises:
            JobNotFound: Never made, or somebody else's.
            AlreadyFinished: It has another final state.
        """
        if not is_job_id(job_id):
            raise JobNotFound("no such job")
        args = [account, self._retention_ms, job_id]
        [answer] = await _within(self._cancel(args))
        if answer == b"final":
            raise AlreadyFinished("this job has already finished")
        return await self.get(job_id, account=account)

    async def forget(self, job_ids: Sequence[str]) -> None:
        """Delete the records of final jobs; their owner is told so for 30 days."""
        await _within(self._forget([_ms(_GONE_FOR), *job_ids]))

    async def purge(self, job_id: str) -> None:
        """Forget where a delivered ephemeral job's images lie; cost and usage stay.

        Its words went when it became final. Others, and unfinished ones, are left
        alone; twice is the same as once.
        """
        await _within(self._purge([job_id]))

    async def popular(self, *, days: int = 7, limit: int = 10) -> list[str]:
        """Return the models that drew most on the last days, most first."""
        today = datetime.now(UTC).date()
        drawn = [keys.popular(today - timedelta(days=ago)) for ago in range(days)]
        counted = await _within(self._redis.zunion(drawn, withscores=True))
        ranked = sorted(counted, key=lambda pair: (-pair[1], pair[0]))
        return [model.decode() for model, _ in ranked[:limit]]

    async def ping(self) -> None:
        """Prove that Redis takes a write; measures its clock by the way."""
        await _within(self._ping())

    async def _ranks(self, job_id: JobId, *lanes: str) -> list[int | None]:
        async with self._redis.pipeline(transaction=False) as pipe:
            for lane in lanes:
                pipe.zrank(lane, job_id)
            ranks: list[int | None] = await pipe.execute()
        return ranks

    async def _announce(self, job_id: JobId) -> None:
        seconds, _ = await self._redis.time()
        due_ms = int(seconds) * 1000 + _ms(_UNWRITTEN_FOR)
        await self._redis.zadd(keys.RETENTION, {job_id: due_ms})

    async def _ping(self) -> None:
        sent = time.monotonic()
        await self._redis.set(keys.CANARY, b"1", px=60_000)
        seconds, micros = await self._redis.time()
        self._clock.heard(int(seconds) * 1000 + int(micros) // 1000, sent=sent)

    async def aclose(self) -> None:
        """Stop the shared round trips; the pool stays open."""
        await self._submissions.aclose()
        await self._reads.aclose()

    async def _jobs(self, ids: Sequence[JobId]) -> list[Job]:
        records = await asyncio.gather(*(_told(self._reads(i)) for i in ids))
        return [read_job(i, r) for i, r in zip(ids, records, strict=True) if r]

    async def _read(self, ids: Sequence[JobId]) -> list[dict[bytes, bytes]]:
        async with self._redis.pipeline(transaction=False) as pipe:
            for job_id in ids:
                pipe.hgetall(keys.job(job_id))
            async with asyncio.timeout(_ANSWER_BUDGET_S):
                answers: list[dict[bytes, bytes]] = await pipe.execute()
        return answers

    async def _send(self, batch: Sequence[_Arrival]) -> list[tuple[bytes, Any]]:
        async with asyncio.timeout(_ANSWER_BUDGET_S):
            if not self._clock.is_known:
                await self._ping()
            sent = time.monotonic()
            args: list[Any] = [self._backlog, self._idempotency_ms, self._retention_ms]
            for new, arrived in batch:
                args += self._fields(new, self._clock.at(arrived + _SUBMIT_BUDGET_S))
            answers = await self._submit(args)
        self._clock.heard(answers[0], sent=sent)
        return list(zip(answers[1::2], answers[2::2], strict=True))

    def _fields(self, new: NewJob, accept_until: int) -> tuple[Any, ...]:
        return (
            new.id,
            new.account,
            new.key_id,
            new.priority.value,
            new.cost,
            request_json(new.request),
            orjson.dumps(new.metadata) if new.metadata else b"",
            accept_until,
            0 if new.start_within is None else max(1, _ms(new.start_within)),
            new.units,
            "" if new.quota is None else new.quota,
            new.most_queued,
            "" if new.most_running is None else new.most_running,
            new.idempotency_name or "",
            new.content_hash,
            int(new.notify),
            "" if new.cache_key is None or new.ephemeral else new.cache_key,
            shown_json(new.request) if new.ephemeral else b"",
        )


def _mismatch() -> IdempotencyMismatch:
    return IdempotencyMismatch(
        "this Idempotency-Key was used for a request with other content"
    )


def _until_next_period() -> timedelta:
    now = datetime.now(UTC)
    return end_of(now) - now


def _answers(job: Job) -> bool:
    """Whether its images answer for an equal request; as in `submit.lua`."""
    whole = job.state is JobState.SUCCEEDED and job.error is None
    return whole or not job.state.is_final


async def _within(work: Any) -> Any:
    """Await Redis, but not for ever; say what its absence means to a caller."""
    return await _told(_in_time(work))


async def _in_time(work: Any) -> Any:
    async with asyncio.timeout(_ANSWER_BUDGET_S):
        return await work


async def _told(work: Any) -> Any:
    """Await a shared round trip, which has an end; say what its absence means."""
    try:
        return await work
    except (RedisError, OSError) as exc:
        raise QueueUnavailable("the queue is not available") from exc


def _ms(duration: timedelta) -> int:
    return duration // timedelta(milliseconds=1)
