"""A crowd has thousands of jobs waiting; somebody else comes with ten.

The crowd's jobs are written straight through the job store; the ten go the way of
all clients. Slots are kept busy with ends that are spread out, so that one falls
free at a time.
"""

import asyncio
import contextlib
import math
import statistics
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

from redis.asyncio import Redis

from service.accounts import Accounts, Grant
from service.core.errors import QueueUnavailable
from service.core.jobs import Attempt, new_job_id
from service.core.requests import GenerationRequest, Priority
from service.job_store import JobStore, keys
from service.job_store.leases import Leases
from service.job_store.pool import redis_pool
from service.job_store.records import NewJob
from service.job_store.submitting import Submitted
from service.settings import Limits
from tests.chaos.client import Client
from tests.chaos.report import Report
from tests.chaos.stage import MODEL, Cast, on_stage

TEN = 10
_IDLE_RUNS = 3
_DUE_AFTER_S = 1.0
_DUE_AFTER_EACH_S = 0.001
_SETTLED_S = 0.3
_AT_ONCE = 500
_FAILED = Attempt(
    provider="openai",
    model="gpt-image-1",
    started_at=datetime(2026, 11, 21, tzinfo=UTC),
    outcome="failed",
    error_code="provider_unavailable",
)


class Crowd:
    """An account that always has `size` jobs waiting."""

    def __init__(self, redis: Redis, *, size: int, cast: Cast) -> None:
        self._redis, self._size, self._cast = redis, size, cast
        self._jobs = JobStore(redis)
        self._leases = Leases(redis, worker="crowd", slots=size)
        self._made = 0

    async def gather(self) -> None:
        """Bring it to its size; the first ones come one by one, to spread the ends."""
        if not self._made:
            for _ in range(self._cast.all_slots):
                await self._submit()
                await asyncio.sleep(1 / self._cast.jobs_per_s)
        missing = self._size - await self._redis.zcard(keys.QUEUE)
        await asyncio.gather(*(self._submit() for _ in range(missing)))

    async def fail(self) -> float:
        """Let an attempt of each fail; return when they fall due, in monotonic s.

        As many as there are slots fall due a little earlier, one after the other.
        """
        due_in_s = _DUE_AFTER_S + self._size * _DUE_AFTER_EACH_S
        due_at, failed = time.monotonic() + due_in_s, 0
        while leases := (await self._leases.claim(_AT_ONCE, held={})).leases:
            retries = []
            for lease in leases:
                early = max(0, self._cast.all_slots - failed) / self._cast.jobs_per_s
                wait = timedelta(seconds=due_at - early - time.monotonic())
                retries.append(self._leases.retry(lease, _FAILED, wait=wait))
                failed += 1
            await asyncio.gather(*retries)
        assert time.monotonic() < due_at - self._cast.latency_ms / 1000, "too slow"
        assert failed > 0.9 * self._size, failed
        return due_at

    async def leave(self) -> None:
        await self._jobs.aclose()
        await self._leases.aclose()

    async def _submit(self) -> Submitted:
        self._made += 1
        new = NewJob(
            id=new_job_id(),
            account="crowd",
            key_id="key_of_the_crowd",
            priority=Priority.NORMAL,
            request=GenerationRequest(model=MODEL, prompt=f"a face, {self._made}"),
        )
        while True:
            with contextlib.suppress(QueueUnavailable):  # a slow machine's
                return await self._jobs.submit(new)


async def run(*, crowd: int, runs: int, retries: bool, cast: Cast) -> Report:
    """Time the ten, alone and then beside the crowd.

    Args:
        crowd: Jobs that wait when the ten come.
        runs: How often they come.
        retries: Whether the crowd's jobs are retries that fall due just then.
        cast: Who plays.
    """
    report = Report(f"fairness, {'retries falling due' if retries else 'queued jobs'}")
    async with on_stage(cast) as stage, _connected(stage.valkey.url) as redis:
        _, secret = await Accounts(redis, Limits()).create(Grant(account="guest"))
        guest = stage.client.using(secret)
        idle = [await _ten(guest, f"idle {i}") for i in range(_IDLE_RUNS)]
        faces = Crowd(redis, size=crowd, cast=cast)
        busy = []
        for number in range(runs):
            await faces.gather()
            if retries:
                due_at = await faces.fail()
                await asyncio.sleep(due_at + _SETTLED_S - time.monotonic())
            busy.append(await _ten(guest, f"busy {number}"))
        waiting = await redis.zcard(keys.QUEUE)
        await faces.leave()
    idle_s, p95_s = statistics.median(idle), _p95(busy)
    limit_s = 2 * idle_s + 1
    report.note(workers=cast.workers, slots_each=cast.slots)
    report.note(upstream_latency_ms=cast.latency_ms, crowd=crowd, runs=runs)
    report.note(waiting_at_the_end=waiting, idle_s=idle_s, limit_s=limit_s)
    report.note(median_s=statistics.median(busy), p95_s=p95_s, worst_s=max(busy))
    report.expect(that=p95_s <= limit_s, otherwise=f"{p95_s:.2f} s > {limit_s:.2f} s")
    return report


async def _ten(guest: Client, name: str) -> float:
    begun = time.monotonic()

    async def one(number: int) -> None:
        prompt = f"{name}, number {number}"
        job_id = await guest.submit(prompt, name=prompt, model=MODEL)
        job = await guest.final(job_id)
        assert job["status"] == "succeeded", job["error"]

    await asyncio.gather(*(one(number) for number in range(TEN)))
    return time.monotonic() - begun


def _p95(times: list[float]) -> float:
    return sorted(times)[math.ceil(0.95 * len(times)) - 1]


@contextlib.asynccontextmanager
async def _connected(url: str) -> AsyncIterator[Redis]:
    redis = Redis(connection_pool=redis_pool(url, timeout_s=10))
    try:
        yield redis
    finally:
        await redis.aclose(close_connection_pool=True)
