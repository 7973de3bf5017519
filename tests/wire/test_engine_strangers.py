"""What others leave on the queue: a stock arq worker, and records that are none."""

import asyncio
from datetime import timedelta

import pytest
from arq.connections import ArqRedis
from arq.worker import Worker

from service.core.jobs import JobState
from service.job_store import keys
from service.job_store.pool import redis_pool
from tests.fakes.engine import (
    FINAL,
    new_job,
    succeed,
    unfinished,
    until,
    working,
)
from workers.sweep import Sweep


async def test_a_stock_arq_worker_on_the_queue_loses_nothing(
    redis, store, shared_valkey
):
    jobs = [new_job() for _ in range(20)]
    await asyncio.gather(*(store.submit(job) for job in jobs))

    async def generate(ctx):
        return None

    pool = ArqRedis(redis_pool(shared_valkey.url, timeout_s=5))
    stock = Worker(
        [generate],
        queue_name=keys.QUEUE,
        redis_pool=pool,
        burst=True,
        handle_signals=False,
        poll_delay=0.01,
    )
    await stock.async_run()
    thrown_out = 20 - await redis.zcard(keys.QUEUE)
    await pool.aclose(close_connection_pool=True)
    await Sweep(redis, None, retention=timedelta(days=1)).repair()
    async with working(shared_valkey.url, succeed):
        done = [await until(store, job, JobState.SUCCEEDED) for job in jobs]

    assert thrown_out == 20
    assert len(done) == 20


async def test_an_entry_without_a_record_goes_to_the_broken_ones(
    redis, store, shared_valkey
):
    await redis.zadd(keys.QUEUE, {"job_nobody": -5, "job_nothing": 5})

    async with working(shared_valkey.url, succeed):
        job = new_job()
        await store.submit(job)
        await until(store, job, JobState.SUCCEEDED)

    assert await redis.zcard(keys.BROKEN) == 2
    assert await redis.zcard(keys.QUEUE) == 0


@pytest.mark.parametrize(
    "torn",
    [{"tag": "x"}, {"cost": ""}, {"priority": "turbo"}, {"fence": "-"}, None],
)
async def test_a_record_that_is_none_is_set_aside_and_harms_no_other(
    redis, store, shared_valkey, torn
):
    bad, good = new_job(), [new_job() for _ in range(3)]
    await asyncio.gather(*(store.submit(job) for job in (bad, *good)))
    if torn is None:
        await redis.delete(keys.job(bad.id))
        await redis.set(keys.job(bad.id), "not a hash")
    else:
        await redis.hset(keys.job(bad.id), mapping=torn)

    async with working(shared_valkey.url, succeed):
        done = [await until(store, job, *FINAL) for job in good]

    assert {(job.state, job.interruptions) for job in done} == {(JobState.SUCCEEDED, 0)}
    assert await redis.zrange(keys.BROKEN, 0, -1) == [bad.id.encode()]
    assert await redis.zcard(keys.QUEUE) == 0
    assert await unfinished(store._redis) == 0
