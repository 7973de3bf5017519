"""Who does not wait for whom, with real workers."""

import asyncio
import time
from dataclasses import replace
from datetime import timedelta

from service.core.jobs import JobState
from service.core.requests import Priority
from service.job_store import keys
from service.job_store.outcomes import Later
from tests.fakes.engine import (
    ATTEMPT,
    DONE,
    new_job,
    unfinished,
    until,
    working,
)


async def test_ten_jobs_do_not_wait_behind_the_backlog_of_another_account(
    store, shared_valkey
):
    async def brief(ctx, lease):
        await asyncio.sleep(0.02)
        return DONE

    await asyncio.gather(*(store.submit(new_job("big")) for _ in range(2000)))
    small = [new_job("small") for _ in range(10)]
    async with working(shared_valkey.url, brief):
        await asyncio.gather(*(store.submit(job) for job in small))
        done = [await until(store, job, JobState.SUCCEEDED) for job in small]
        waiting = await unfinished(store._redis)

    assert len(done) == 10
    assert waiting > 1500


async def test_ten_jobs_do_not_wait_behind_due_retries_of_another_account(
    store, shared_valkey
):
    async def brief(ctx, lease):
        if lease.account == "big" and lease.attempts == 0:
            return Later(attempt=ATTEMPT, wait=timedelta(milliseconds=300))
        await asyncio.sleep(0.02)
        return DONE

    await asyncio.gather(*(store.submit(new_job("big")) for _ in range(2000)))
    small = [new_job("small") for _ in range(10)]
    async with working(shared_valkey.url, brief):
        await asyncio.sleep(1.5)  # by now all 2,000 have failed once and fall due
        await asyncio.gather(*(store.submit(job) for job in small))
        done = [await until(store, job, JobState.SUCCEEDED) for job in small]
        waiting = await unfinished(store._redis)

    assert len(done) == 10
    assert waiting > 500


async def test_a_batch_leaves_a_slot_for_interactive_work(store, shared_valkey):
    go = asyncio.Event()

    async def slow(ctx, lease):
        if lease.priority is Priority.BATCH:
            await go.wait()
        return DONE

    batch = [new_job(priority=Priority.BATCH) for _ in range(50)]
    await asyncio.gather(*(store.submit(job) for job in batch))
    quick = new_job(priority=Priority.INTERACTIVE)
    async with working(shared_valkey.url, slow, slots=10):
        while len(await store._redis.zrange(f"{keys.QUEUE}:batch", 0, -1)) > 41:
            await asyncio.sleep(0.01)
        await store.submit(quick)
        done = await until(store, quick, JobState.SUCCEEDED, within_s=1)
        go.set()

    assert done.state is JobState.SUCCEEDED


async def test_a_keys_next_job_starts_as_soon_as_one_ends(store, shared_valkey):
    jobs = [replace(new_job(), most_running=2) for _ in range(20)]
    running, most = 0, 0

    async def draw(ctx, lease):
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.01)
        running -= 1
        return DONE

    async with (
        working(shared_valkey.url, draw, name="w1"),
        working(shared_valkey.url, draw, name="w2"),
    ):
        began = time.monotonic()
        await asyncio.gather(*(store.submit(job) for job in jobs))
        for job in jobs:
            await until(store, job, JobState.SUCCEEDED)
        took_s = time.monotonic() - began

    assert most == 2
    assert took_s < 2.5, "ten rounds, none of which waits for a poll of 0.5 s"
