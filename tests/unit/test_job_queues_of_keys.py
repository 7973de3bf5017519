"""A key that may run so many jobs at once: the others wait, and hide nobody."""

import asyncio
from datetime import timedelta

import pytest

from service.core.jobs import JobState
from service.job_store import keys
from service.job_store.leases import Leases
from service.job_store.scripting import script
from tests.fakes.store_jobs import ATTEMPT, DONE, job


async def test_a_key_runs_as_many_jobs_as_it_may_and_the_others_wait(store, leases):
    mine = [job(most_running=2) for _ in range(5)]
    for new in mine:
        await store.submit(new)
    theirs = await store.submit(job(account="bob", key_id="key_2"))

    first = (await leases.claim(10, held={})).leases
    again = (await leases.claim(10, held={})).leases
    await leases.commit(next(one for one in first if one.account == "ada"), DONE)
    then = (await leases.claim(10, held={})).leases

    ids = [new.id for new in mine]
    assert {lease.job_id for lease in first} == {*ids[:2], theirs.job_id}
    assert again == ()
    assert [lease.job_id for lease in then] == [ids[2]]
    assert then[0].fence == 1
    waiting = await store.get(ids[4], account="ada")
    assert waiting.attempts == 0
    assert await store.position(waiting) == 2


@pytest.mark.parametrize("way_out", ["retry", "release", "cancel"])
async def test_whoever_stops_running_lets_the_next_one_run(store, leases, way_out):
    first, second = job(most_running=1), job(most_running=1)
    await store.submit(first)
    await store.submit(second)
    [lease] = (await leases.claim(2, held={})).leases

    if way_out == "retry":
        await leases.retry(lease, ATTEMPT, wait=timedelta(hours=1))
    elif way_out == "release":
        await leases.release(lease)
    else:
        await store.cancel(first.id, account="ada")
    claimed = (await leases.claim(2, held={})).leases

    expected = first if way_out == "release" else second
    assert [lease.job_id for lease in claimed] == [expected.id]


async def test_a_waiting_job_can_be_canceled(store, leases, redis):
    jobs = [job(most_running=1) for _ in range(3)]
    for new in jobs:
        await store.submit(new)
    [lease] = (await leases.claim(3, held={})).leases

    await store.cancel(jobs[1].id, account="ada")
    await leases.commit(lease, DONE)
    claimed = (await leases.claim(3, held={})).leases

    assert [lease.job_id for lease in claimed] == [jobs[2].id]
    assert await redis.zcard(keys.waiting("key_1")) == 0


async def test_a_waiting_job_that_must_start_soon_expires(store, leases, redis):
    await store.submit(job(most_running=1))
    late = job(most_running=1, start_within=timedelta(milliseconds=20))
    await store.submit(late)
    await leases.claim(3, held={})
    await asyncio.sleep(0.03)

    await script(redis, "expire")([10, 1000])

    assert (await store.get(late.id, account="ada")).state is JobState.EXPIRED
    assert await redis.zcard(keys.waiting("key_1")) == 0


async def test_a_long_line_of_waiting_jobs_hides_nobody(store, redis):
    first = Leases(redis, worker="first", slots=4)
    for _ in range(300):
        await store.submit(job(most_running=1))
    other = job(key_id="key_2")  # of the same flow, so behind them all
    await store.submit(other)

    claim = await first.claim(2, held={})

    assert other.id in {lease.job_id for lease in claim.leases}
    assert await redis.zcard(keys.waiting("key_1")) == 299
    await first.aclose()


async def test_what_waits_for_a_job_that_vanished_goes_on_by_itself(
    store, leases, redis
):
    jobs = [job(most_running=1) for _ in range(3)]
    for new in jobs:
        await store.submit(new)
    [lease] = (await leases.claim(3, held={})).leases
    await leases.commit(lease, DONE)
    await redis.delete(keys.job(jobs[1].id))  # it was next
    await leases.claim(3, held={})

    await script(redis, "audit")([])
    claimed = (await leases.claim(3, held={})).leases

    assert [lease.job_id for lease in claimed] == [jobs[2].id]


async def test_a_torn_record_among_the_waiting_stops_nobody(store, leases, redis):
    jobs = [job(most_running=1) for _ in range(3)]
    for new in jobs:
        await store.submit(new)
    [lease] = (await leases.claim(3, held={})).leases
    await redis.hset(keys.job(jobs[1].id), "tag", "torn")

    await leases.commit(lease, DONE)
    claimed = (await leases.claim(3, held={})).leases

    assert [lease.job_id for lease in claimed] == [jobs[2].id]
    assert await redis.zrange(keys.BROKEN, 0, -1) == [jobs[1].id.encode()]
    assert await script(redis, "audit")([]) == 0
    assert await redis.hget(keys.use("key_1"), "open") == b"1"
