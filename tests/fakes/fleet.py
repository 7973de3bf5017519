"""Workers that claim what their gates let in, and jobs that name their routes."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta

from redis.asyncio import Redis

from service.core.jobs import Attempt, JobState, new_job_id
from service.core.requests import GenerationRequest, Priority
from service.job_store import JobStore, keys
from service.job_store.gates import Gate
from service.job_store.lease import Lease
from service.job_store.leases import Leases
from service.job_store.outcomes import Outcome
from service.job_store.records import NewJob

Fleet = Callable[..., Leases]
NO_WAIT = timedelta(0)


@contextlib.asynccontextmanager
async def hiring(redis: Redis) -> AsyncIterator[Fleet]:
    """Yield what hires workers; each serves the providers it is given."""
    hired = list[Leases]()

    async def hire(*, lease: float = 15, **gates: Gate) -> Leases:
        leases = Leases(
            redis,
            worker=f"w{len(hired)}",
            slots=100,
            lease=timedelta(seconds=lease),
            gates=gates,
        )
        hired.append(leases)
        await leases.announce()
        return leases

    yield hire
    for leases in hired:
        await leases.aclose()


async def submitted(
    store: JobStore, *routes: str, count: int = 1, n: int = 1, **wishes: object
) -> list[str]:
    jobs = [
        NewJob(
            id=new_job_id(),
            account="ada",
            request=GenerationRequest(model="test/test", prompt=f"fox {number}", n=n),
            routes=routes,
            **{"key_id": "key_1", "priority": Priority.NORMAL, **wishes},
        )
        for number in range(count)
    ]
    return [(await store.submit(job)).job_id for job in jobs]


async def claimed(worker: Leases, most: int = 100) -> tuple[Lease, ...]:
    return (await worker.claim(most, held={})).leases


async def claimed_within(worker: Leases, within_s: float) -> tuple[Lease, ...]:
    """Return what the first claim takes that takes anything."""
    async with asyncio.timeout(within_s):
        while not (leases := await claimed(worker)):
            await asyncio.sleep(0.02)
    return leases


def attempt(lease: Lease, outcome: str = "succeeded") -> Attempt:
    provider, _, model = (lease.route or "/").partition("/")
    return Attempt(
        provider=provider, model=model, started_at=datetime.now(UTC), outcome=outcome
    )


async def succeed(worker: Leases, lease: Lease) -> None:
    done = Outcome(state=JobState.SUCCEEDED, attempt=attempt(lease))
    assert await worker.commit(lease, done)


async def fail(worker: Leases, lease: Lease, report: str = "fault", **how) -> None:
    how = {"wait": NO_WAIT, **how}
    assert await worker.retry(lease, attempt(lease, "failed"), report=report, **how)


async def break_down(store: JobStore, worker: Leases, route: str) -> list[str]:
    """Let five calls in a row fail; return their jobs."""
    ids = await submitted(store, route, count=5)
    for lease in await claimed(worker):
        await fail(worker, lease)
    return ids


async def forget_the_wait(redis: Redis, route: str) -> None:
    """Pretend that the time for which a breaker is open has passed."""
    await redis.hset(keys.route(route), mapping={"opened_ms": 0, "probe_ms": 0})


async def images(redis: Redis, provider: str) -> int:
    return int(await redis.hget(keys.gate(provider), "images") or 0)


async def running(redis: Redis, provider: str) -> int:
    return int(await redis.hget(keys.gate(provider), "running") or 0)
