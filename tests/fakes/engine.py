"""The engine in this process, and the jobs it is given."""

import asyncio
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

from arq.connections import ArqRedis
from arq.worker import func
from redis.asyncio import Redis

from service.core.jobs import Attempt, JobState, new_job_id
from service.core.requests import GenerationRequest, Priority
from service.job_store import JobStore, keys
from service.job_store.lease import Lease
from service.job_store.leases import Leases
from service.job_store.outcomes import Later, Outcome
from service.job_store.pool import redis_pool
from service.job_store.records import NewJob
from workers.engine import LeaseWorker

Verdict = Outcome | Later
ATTEMPT = Attempt(provider="p", model="m", started_at=datetime.now(UTC), ms=1)
DONE = Outcome(state=JobState.SUCCEEDED, attempt=ATTEMPT)
FINAL = [state for state in JobState if state.is_final]
SHORT = timedelta(seconds=1.5)
BRIEF = timedelta(seconds=0.5)


def new_job(account: str = "ada", priority: Priority = Priority.NORMAL) -> NewJob:
    return NewJob(
        id=new_job_id(),
        account=account,
        key_id="key_1",
        priority=priority,
        request=GenerationRequest(model="test/test", prompt="a fox"),
    )


@asynccontextmanager
async def working(
    url: str,
    function: Callable[[dict, Lease], Awaitable[Verdict]],
    *,
    name: str = "w1",
    slots: int = 10,
    lease: timedelta = SHORT,
    drain: timedelta = timedelta(seconds=5),
) -> AsyncIterator[LeaseWorker]:
    """A worker in this process, drained at the end."""
    redis = ArqRedis(redis_pool(url, timeout_s=5))
    worker = LeaseWorker(
        func(function, name="generate"),
        name=name,
        redis_pool=redis,
        leases=Leases(redis, worker=name, slots=slots, lease=lease),
        max_jobs=slots,
        lease=lease,
        drain=drain,
        handle_signals=False,
    )
    running = asyncio.create_task(worker.async_run())
    try:
        yield worker
    finally:
        worker.handle_sig(signal.SIGTERM)
        await asyncio.gather(running, return_exceptions=True)
        await worker.close()


@asynccontextmanager
async def dying(url: str, function, *, name: str, slots: int = 10):
    """A worker that vanishes in the middle of its work, as by SIGKILL."""
    redis = ArqRedis(redis_pool(url, timeout_s=5))
    leases = Leases(redis, worker=name, slots=slots, lease=BRIEF)
    claim = await leases.claim(slots, held={})
    yield claim
    await redis.aclose(close_connection_pool=True)


async def until(store: JobStore, job: NewJob, *states: JobState, within_s=10.0):
    async with asyncio.timeout(within_s):
        while (now := await store.get(job.id, account=job.account)).state not in states:
            await asyncio.sleep(0.01)
    return now


async def succeed(ctx: dict, lease: Lease) -> Verdict:
    return DONE


async def unfinished(redis: Redis) -> int:
    """Return how many jobs are open."""
    return int(await redis.get(f"{keys.QUEUE}:open") or 0)
