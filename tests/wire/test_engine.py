"""The engine on a real Valkey: jobs that succeed, fail, go wrong and are canceled."""

import asyncio
import hashlib
import inspect
from dataclasses import replace
from datetime import timedelta

import pytest
from arq.worker import Worker

from service.core.jobs import JobState
from service.job_store import keys
from service.job_store.leases import Leases
from service.job_store.outcomes import Later
from tests.fakes.engine import (
    ATTEMPT,
    BRIEF,
    DONE,
    FINAL,
    new_job,
    succeed,
    unfinished,
    until,
    working,
)


async def test_submitted_jobs_succeed(redis, store, shared_valkey):
    jobs = [new_job() for _ in range(50)]

    async with working(shared_valkey.url, succeed):
        await asyncio.gather(*(store.submit(job) for job in jobs))
        done = [await until(store, job, JobState.SUCCEEDED) for job in jobs]

    assert {job.attempts for job in done} == {1}
    assert await redis.zcard(keys.QUEUE) == 0


async def test_a_failed_attempt_is_made_again_when_it_is_due(store, shared_valkey):
    job = new_job()

    async def flaky(ctx, lease):
        if lease.attempts == 0:
            return Later(attempt=ATTEMPT, wait=timedelta(milliseconds=200))
        return DONE

    async with working(shared_valkey.url, flaky):
        await store.submit(job)
        done = await until(store, job, JobState.SUCCEEDED)

    assert (done.attempts, done.interruptions, len(done.trail)) == (2, 0, 2)


async def test_a_canceled_job_is_aborted_within_two_seconds(store, shared_valkey):
    job, begun, ended = new_job(), asyncio.Event(), asyncio.Event()

    async def endless(ctx, lease):
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async with working(shared_valkey.url, endless, lease=timedelta(seconds=60)):
        await store.submit(job)
        await begun.wait()
        canceled = await store.cancel(job.id, account="ada")
        async with asyncio.timeout(2):
            await ended.wait()

    assert canceled.state is JobState.CANCELED


async def test_what_no_record_can_hold_fails_its_job_once(store, shared_valkey):
    job, calls = new_job(), []
    unwritable = replace(ATTEMPT, upstream_id="\udc80")

    async def garbled(ctx, lease):
        calls.append(lease.fence)
        return replace(DONE, attempt=unwritable)

    async with working(shared_valkey.url, garbled, lease=BRIEF):
        await store.submit(job)
        failed = await until(store, job, JobState.FAILED)

    assert failed.error is not None
    assert (failed.error["code"], calls) == ("internal", [1])


async def test_a_crashing_function_fails_its_job_and_no_other(store, shared_valkey):
    bad, good = new_job(), new_job()

    async def buggy(ctx, lease):
        if lease.job_id == bad.id:
            raise ZeroDivisionError
        return DONE

    async with working(shared_valkey.url, buggy):
        await asyncio.gather(store.submit(bad), store.submit(good))
        await until(store, good, JobState.SUCCEEDED)
        failed = await until(store, bad, JobState.FAILED)

    assert failed.error is not None
    assert failed.error["code"] == "internal"


async def test_a_record_that_cannot_be_read_ends_no_worker(redis, store, shared_valkey):
    torn, newer, good = new_job(), new_job(), new_job()
    for job in (torn, newer, good):
        await store.submit(job)
    await redis.hset(keys.job(torn.id), "tasks", "{}")
    await redis.hset(keys.job(newer.id), "on_ambiguous", "ask_twice")

    async with working(shared_valkey.url, succeed):
        await until(store, good, JobState.SUCCEEDED)
        put_off = [await until(store, job, JobState.QUEUED) for job in (torn, newer)]
        await redis.hset(keys.job(newer.id), "on_ambiguous", "retry")
        await redis.hset(keys.job(torn.id), "attempts", 4)
        await redis.zadd(keys.QUEUE, {torn.id: 1, newer.id: 1}, xx=True)
        await until(store, newer, JobState.SUCCEEDED)
        failed = await until(store, torn, JobState.FAILED)

    assert [job.attempts for job in put_off] == [1, 1]
    assert failed.error["code"] == "internal"


async def test_a_claim_that_meets_a_bug_is_made_again(redis, store, shared_valkey):
    class Muddled(Leases):
        claims = 0

        async def claim(self, most, *, held):
            self.claims += 1
            if self.claims == 1:
                raise ZeroDivisionError
            return await super().claim(most, held=held)

    job = new_job()
    await store.submit(job)

    async with working(shared_valkey.url, succeed) as worker:
        worker.leases = Muddled(redis, worker="w2", slots=10)
        done = await until(store, job, JobState.SUCCEEDED)

    assert done.attempts == 1
    assert worker.leases.claims > 1


async def test_a_cancellation_that_nobody_sent_fails_the_job(store, shared_valkey):
    job = new_job()

    async def confused(ctx, lease):
        raise asyncio.CancelledError

    async with working(shared_valkey.url, confused):
        await store.submit(job)
        failed = await until(store, job, *FINAL)

    assert failed.error is not None
    assert failed.error["code"] == "internal"


async def test_a_thousand_and_more_jobs_are_held_at_once(store, shared_valkey):
    jobs, go = [new_job() for _ in range(4500)], asyncio.Event()
    running = 0

    async def slow(ctx, lease):
        nonlocal running
        running += 1
        await go.wait()
        return DONE

    for at in range(0, len(jobs), 500):
        await asyncio.gather(*(store.submit(job) for job in jobs[at : at + 500]))
    async with working(shared_valkey.url, slow, slots=5000):
        while running < len(jobs):
            await asyncio.sleep(0.01)
        await asyncio.sleep(2)  # two heartbeats, and longer than the lease
        go.set()
        while await unfinished(store._redis):
            await asyncio.sleep(0.01)

    assert running == len(jobs)


@pytest.mark.parametrize(
    ("method", "digest"),
    [
        ("main", "45ca1591"),
        ("handle_sig", "985ff7ba"),
        ("close", "5bcc9cb3"),
        ("__init__", "edfb0cd7"),
    ],
)
def test_what_is_overridden_is_what_arq_0_28_has(method: str, digest: str):
    source = inspect.getsource(getattr(Worker, method)).encode()

    assert hashlib.sha256(source).hexdigest()[:8] == digest
