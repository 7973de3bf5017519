"""Keys that are torn stop neither those who share a step nor those who come after."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from redis.asyncio import Redis

from service.core.jobs import JobState
from service.job_store import JobStore, keys
from service.job_store.gates import Gate
from service.job_store.leases import Leases
from service.job_store.records import Place, Webhook
from service.job_store.scripting import script
from tests.fakes.store_jobs import DONE, job
from workers.sweep import Sweep


@pytest.fixture
async def store(redis: Redis) -> AsyncIterator[JobStore]:
    store = JobStore(redis)
    yield store
    await store.aclose()


@pytest.fixture
async def worker(redis: Redis) -> AsyncIterator[Leases]:
    worker = Leases(redis, worker="w", slots=10, gates={"dear": Gate(max_in_flight=9)})
    await worker.announce()
    yield worker
    await worker.aclose()


async def numbers(redis: Redis) -> dict[str, int]:
    use = await redis.hgetall(keys.use("key_1"))
    gate = await redis.hgetall(keys.gate("dear"))
    return {
        "open": int(use.get(b"open", 0)),
        "running": int(use.get(b"running", 0)),
        "calls": int(gate.get(b"running", 0)),
        "unaccounted": await script(redis, "audit")([]),
    }


async def test_a_submission_that_breaks_off_leaves_those_beside_it_whole(redis, store):
    await redis.set(keys.use("key_torn"), "x")
    good, bad = [job() for _ in range(20)], job(key_id="key_torn")

    submitted = [store.submit(new) for new in (*good[:15], bad, *good[15:])]
    answers = await asyncio.gather(*submitted, return_exceptions=True)

    assert isinstance(answers.pop(15), Exception)
    assert [answer.job_id for answer in answers] == [new.id for new in good]
    assert await redis.zcard(keys.QUEUE) == 20
    assert (await numbers(redis))["open"] == 20
    assert (await numbers(redis))["unaccounted"] == 0


async def test_a_job_that_was_written_but_not_queued_is_queued_by_its_repeat(
    redis, store
):
    new = job()
    await store.submit(new)
    await redis.zrem(keys.QUEUE, new.id)
    await redis.zrem(keys.jobs_of("ada"), new.id)

    await store.submit(new)

    assert await redis.zcard(keys.QUEUE) == 1
    assert await redis.zcard(keys.jobs_of("ada")) == 1


async def test_what_a_torn_record_held_goes_back_and_its_line_ends(
    redis, store, worker
):
    batch = keys.batch("batch_1")
    told = {"state": "in_progress", "account": "ada", "total": 1, "window": 10}
    await redis.hset(batch, mapping=told)
    new = job(units=7, quota=9, place=Place(batch_id="batch_1", line=0))
    await store.submit(new)
    await redis.hset(batch, "cursor", 1)
    await redis.hset(keys.job(new.id), "tag", "torn")

    claim = await worker.claim(5, held={})

    use = await redis.hgetall(keys.use("key_1"))
    assert claim.leases == ()
    assert (int(use[b"open"]), int(use[b"reserved"])) == (0, 0)
    assert await redis.hmget(batch, "state", "failed") == [b"completed", b"1"]
    assert (await numbers(redis))["unaccounted"] == 0


async def test_a_final_job_without_its_time_is_forgotten_like_others(redis, store):
    jobs = [job() for _ in range(2)]
    for new in jobs:
        await store.submit(new)
        await store.cancel(new.id, account="ada")
    await redis.hdel(keys.job(jobs[0].id), "completed_ms")

    await script(redis, "forget")([60_000, *(new.id for new in jobs)])

    assert not await redis.exists(*(keys.job(new.id) for new in jobs))


async def test_numbers_that_have_drifted_are_counted_anew(redis, store, worker):
    await redis.hset(keys.API_KEYS, mapping={"key_1": "hash", "key_2": "hash"})
    jobs = [job(routes=("dear/fox",), units=7, quota=99) for _ in range(3)]
    for new in jobs:
        await store.submit(new)
    await worker.claim(1, held={})
    right = await numbers(redis)
    drift = {"open": 5, "running": 2, "reserved": 70}
    for key_id in ("key_1", "key_2"):
        for field, by in drift.items():
            await redis.hincrby(keys.use(key_id), field, by)
    await redis.hincrby(keys.gate("dear"), "running", 9)
    await redis.hincrby(keys.gate("dear"), "images", -1)
    await redis.decrby(f"{keys.QUEUE}:open", 2)
    parked = await worker.claim(5, held={})
    sweep = Sweep(redis, None, retention=timedelta(days=1))

    await sweep.recount()

    assert parked.leases == ()
    assert await numbers(redis) == right
    assert await redis.hget(keys.use("key_1"), "reserved") == b"21"
    assert await redis.hmget(keys.use("key_2"), *drift) == [b"0"] * 3
    assert await redis.hget(keys.gate("dear"), "images") == b"1"
    assert len((await worker.claim(5, held={})).leases) == 2
    await redis.incrby(f"{keys.QUEUE}:open", 3)
    await sweep.repair()
    assert (await numbers(redis))["unaccounted"] == 0


@pytest.mark.parametrize("torn", [keys.events, keys.endpoints, keys.deliveries])
async def test_a_job_ends_whatever_its_account_cannot_be_told(
    redis, store, worker, torn
):
    await redis.set(torn("ada"), "x")
    webhook = Webhook(url="https://example.com/", events=("job.succeeded",))
    await store.submit(job(routes=("dear/fox",), webhook=webhook))
    [lease] = (await worker.claim(5, held={})).leases

    assert await worker.commit(lease, DONE)

    ended = await store.get(lease.job_id, account="ada")
    assert ended.state is JobState.SUCCEEDED
    assert set((await numbers(redis)).values()) == {0}
    assert await redis.zcard(keys.DELIVER) == 1
