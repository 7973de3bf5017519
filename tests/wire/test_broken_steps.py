"""Keys that are torn stop neither those who share a step nor those who come after."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from service.core.jobs import JobState
from service.job_store import JobStore, keys
from service.job_store.gates import Gate
from service.job_store.leases import Leases
from service.job_store.records import Webhook
from service.job_store.scripting import script
from tests.fakes.store_jobs import DONE, job


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
