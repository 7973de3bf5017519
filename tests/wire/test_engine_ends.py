"""How workers end: drained, or dead in the middle of their work."""

import asyncio
import contextlib
import signal
from datetime import timedelta

import pytest
from arq.connections import ArqRedis
from arq.worker import func

from service.core.jobs import JobState
from service.job_store import keys
from service.job_store.fleet import alive
from service.job_store.leases import PARK_AFTER, Leases
from service.job_store.outcomes import Outcome
from service.job_store.pool import redis_pool
from service.job_store.standing import read_standing
from tests.fakes.engine import (
    ATTEMPT,
    BRIEF,
    DONE,
    dying,
    new_job,
    succeed,
    unfinished,
    until,
    working,
)
from workers.engine import LeaseWorker


async def test_a_drain_gives_running_jobs_back_without_an_attempt(store, shared_valkey):
    job, begun = new_job(), asyncio.Event()

    async def endless(ctx, lease):
        begun.set()
        await asyncio.Event().wait()

    await store.submit(job)
    async with working(shared_valkey.url, endless, drain=timedelta(0)):
        await begun.wait()
    given_back = await store.get(job.id, account="ada")
    async with working(shared_valkey.url, succeed, name="next"):
        done = await until(store, job, JobState.SUCCEEDED, within_s=1)

    assert given_back.state is JobState.QUEUED
    assert (done.attempts, done.interruptions) == (1, 0)


async def test_a_drain_waits_for_what_can_finish(store, shared_valkey):
    job, begun, go = new_job(), asyncio.Event(), asyncio.Event()

    async def slow(ctx, lease):
        begun.set()
        await go.wait()
        return DONE

    await store.submit(job)
    async with working(shared_valkey.url, slow) as worker:
        await begun.wait()
        worker.handle_sig(signal.SIGTERM)
        go.set()

    done = await store.get(job.id, account="ada")
    assert (done.state, done.attempts, done.fence) == (JobState.SUCCEEDED, 1, 1)


async def test_who_drains_is_none_of_those_that_take_jobs(store, shared_valkey, redis):
    job, begun, go = new_job(), asyncio.Event(), asyncio.Event()

    async def slow(ctx, lease):
        begun.set()
        await go.wait()
        return DONE

    await store.submit(job)
    async with (
        asyncio.timeout(10),
        working(shared_valkey.url, slow, lease=BRIEF) as worker,
    ):
        await begun.wait()
        before = await alive(redis)
        worker.handle_sig(signal.SIGTERM)
        while await alive(redis):
            await asyncio.sleep(0.01)
        for _ in range(2):  # heartbeats, of which none brings it back
            lapses = await redis.zscore(keys.QUEUE, job.id)
            while await redis.zscore(keys.QUEUE, job.id) == lapses:
                await asyncio.sleep(0.01)
        draining = await read_standing(redis)
        go.set()

    assert before == 1
    assert (draining.workers, draining.silent) == ({}, frozenset())
    assert [one.worker for one in draining.running] == [worker.name]


async def test_a_dead_workers_jobs_run_again_when_their_lease_lapses(
    store, shared_valkey
):
    job = new_job()
    await store.submit(job)

    async with dying(shared_valkey.url, succeed, name="dead") as claim:
        assert [lease.job_id for lease in claim.leases] == [job.id]
    async with working(shared_valkey.url, succeed, name="alive"):
        done = await until(store, job, JobState.SUCCEEDED)

    assert (done.attempts, done.interruptions, done.fence) == (1, 1, 2)
    assert [attempt.outcome for attempt in done.trail] == ["interrupted", "succeeded"]


async def test_a_stale_worker_cannot_commit(store, shared_valkey, redis):
    job = new_job()
    await store.submit(job)
    stale = Leases(redis, worker="stale", slots=10, lease=BRIEF)
    [lease] = (await stale.claim(1, held={})).leases

    async with working(shared_valkey.url, succeed):
        done = await until(store, job, JobState.SUCCEEDED)
        failed = Outcome(state=JobState.FAILED, attempt=ATTEMPT, error={"code": "x"})
        kept = await stale.commit(lease, failed)

    assert not kept
    assert await store.get(job.id, account="ada") == done
    await stale.aclose()


async def test_one_poison_job_is_parked_and_the_innocent_succeed(store, shared_valkey):
    poison, innocent = new_job(), [new_job() for _ in range(30)]
    await asyncio.gather(*(store.submit(job) for job in (poison, *innocent)))
    before = {"interruptions": PARK_AFTER - 5, "started_ms": 1}
    await store._redis.hset(keys.job(poison.id), mapping=before)
    deaths = 0

    async def until_it_dies(name: str) -> bool:
        """Work as a process would that the poison kills; whether it lived."""
        dead = asyncio.Event()

        async def deadly(ctx, lease):
            if lease.job_id == poison.id:
                dead.set()
            await (asyncio.Event().wait() if dead.is_set() else asyncio.sleep(0.05))
            return DONE

        async with working(shared_valkey.url, deadly, name=name, lease=BRIEF) as worker:
            while await unfinished(store._redis) and not dead.is_set():
                await asyncio.sleep(0.01)
            for task in list(worker.tasks.values()):
                task.cancel("killed")  # no release, no commit: as by SIGKILL
        return not dead.is_set()

    while not await until_it_dies(f"w{deaths}"):
        deaths += 1
        assert deaths < 10

    done = [await store.get(job.id, account="ada") for job in innocent]
    parked = await store.get(poison.id, account="ada")
    assert {job.state for job in done} == {JobState.SUCCEEDED}
    assert parked.state is JobState.FAILED
    assert parked.error is not None
    assert parked.error["code"] == "poison"
    assert deaths <= 6


async def test_a_loop_that_breaks_ends_the_worker_however_deaf_another_is(
    redis, shared_valkey
):
    class Broken(LeaseWorker):
        """Its heartbeat breaks; its listener loses the first cancellation."""

        async def _heartbeat(self) -> None:
            await asyncio.sleep(0.1)
            raise LookupError("broken")

        async def _listen(self) -> None:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.Event().wait()
            await asyncio.Event().wait()

    worker = Broken(
        func(succeed, name="generate"),
        name="broken",
        redis_pool=ArqRedis(redis_pool(shared_valkey.url, timeout_s=5)),
        leases=Leases(redis, worker="broken", slots=1),
        max_jobs=1,
        handle_signals=False,
    )

    with pytest.RaisesGroup(LookupError):
        await asyncio.wait_for(worker.main(), 10)
    await worker.close()
