"""A Redis that is killed, frozen or full: nothing is bought twice."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from redis.asyncio import Redis

from service.core.errors import QueueUnavailable
from service.core.jobs import JobId, JobState
from service.job_store import JobStore
from service.job_store.lease import Renewal
from service.job_store.leases import Leases
from service.job_store.pool import redis_pool
from tests.fakes.engine import (
    DONE,
    FINAL,
    new_job,
    succeed,
    until,
    working,
)
from tests.fakes.valkey import Valkey


@pytest.fixture
async def own_store(valkey: Valkey) -> AsyncIterator[JobStore]:
    """A store on a server that may be killed or frozen."""
    redis = Redis(connection_pool=redis_pool(valkey.url, timeout_s=2.5))
    store = JobStore(redis)
    yield store
    await store.aclose()
    await redis.aclose(close_connection_pool=True)


async def test_results_outlive_a_redis_that_is_killed(valkey, own_store):
    store, job, go = own_store, new_job(), asyncio.Event()
    begun, calls = asyncio.Event(), list[JobId]()

    async def paid(ctx, lease):
        calls.append(lease.job_id)
        begun.set()
        await go.wait()
        return DONE

    async with working(valkey.url, paid):
        await store.submit(job)
        await begun.wait()
        valkey.kill()
        go.set()
        await asyncio.sleep(2)  # longer than the lease
        valkey.start()
        done = await until(store, job, *FINAL)

    assert done.state is JobState.SUCCEEDED
    assert calls == [job.id]


async def test_a_frozen_redis_makes_no_second_call_for_what_is_in_flight(
    valkey, own_store
):
    store, jobs, go = own_store, [new_job() for _ in range(20)], asyncio.Event()
    calls = list[JobId]()

    async def slow(ctx, lease):
        calls.append(lease.job_id)
        await go.wait()
        return DONE

    async with (
        working(valkey.url, slow, name="w1"),
        working(valkey.url, slow, name="w2"),
    ):
        await asyncio.gather(*(store.submit(job) for job in jobs))
        while len(calls) < len(jobs):
            await asyncio.sleep(0.01)
        valkey.freeze()
        await asyncio.sleep(3.2)  # more than twice the lease
        valkey.thaw()
        await asyncio.sleep(1.6)  # more than one
        go.set()
        done = [await until(store, job, *FINAL) for job in jobs]

    assert {job.state for job in done} == {JobState.SUCCEEDED}
    assert len(calls) == len(jobs)


async def test_a_redis_without_memory_is_waited_for_with_the_results_in_hand(
    redis, store, shared_valkey
):
    job, begun, go = new_job(), asyncio.Event(), asyncio.Event()
    calls = list[JobId]()

    async def paid(ctx, lease):
        calls.append(lease.job_id)
        begun.set()
        await go.wait()
        return DONE

    async with working(shared_valkey.url, paid):
        await store.submit(job)
        await begun.wait()
        await redis.config_resetstat()
        await redis.config_set("maxmemory", "1mb")
        try:
            go.set()
            while "errorstat_OOM" not in await redis.info("errorstats"):
                await asyncio.sleep(0.01)
        finally:
            await redis.config_set("maxmemory", "0")
        done = await until(store, job, *FINAL)

    assert (done.state, done.attempts) == (JobState.SUCCEEDED, 1)
    assert calls == [job.id]


async def test_a_redis_that_is_a_replica_for_a_while_finds_the_worker_at_work(
    valkey, own_store
):
    async with working(valkey.url, succeed), Redis.from_url(valkey.url) as admin:
        for _ in range(3):
            await admin.replicaof("127.0.0.1", "1")
            refusals = await asyncio.gather(
                *(own_store.submit(new_job()) for _ in range(20)),
                return_exceptions=True,
            )
            await asyncio.sleep(0.5)
            await admin.replicaof("NO", "ONE")
            job = new_job()
            await own_store.submit(job)
            await until(own_store, job, JobState.SUCCEEDED)

    assert {type(refusal) for refusal in refusals} == {QueueUnavailable}


async def test_whoever_speaks_first_after_an_outage_declares_the_truce(redis, store):
    jobs = [new_job() for _ in range(2)]
    await asyncio.gather(*(store.submit(job) for job in jobs))
    brief = timedelta(milliseconds=200)
    first = Leases(redis, worker="first", slots=10, lease=brief)
    second = Leases(redis, worker="second", slots=10, lease=brief)
    mine = (await first.claim(1, held={})).leases
    theirs = (await second.claim(1, held={})).leases

    await asyncio.sleep(0.3)  # nobody could speak, and every lease has lapsed
    renewed = await first.renew(mine)
    taken_over = (await first.claim(5, held={})).leases
    late = await second.renew(theirs)

    assert taken_over == ()
    assert renewed == late == [Renewal.RENEWED]


async def test_a_claim_whose_answer_was_lost_is_answered_again(redis, store):
    jobs = [new_job() for _ in range(3)]
    await asyncio.gather(*(store.submit(job) for job in jobs))
    leases = Leases(redis, worker="w", slots=10)
    first = await leases.claim(2, held={})

    leases._answered = False  # as if the answer had not come
    again = await leases.claim(2, held={})

    def ids(claim):
        return {(lease.job_id, lease.fence) for lease in claim.leases}

    assert ids(again) == ids(first)
