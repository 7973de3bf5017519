"""Whose job is next: priority, weight, deadlines, and leases that lapsed."""

import asyncio
from datetime import timedelta

from service.core.jobs import JobState
from service.core.requests import Priority
from service.job_store import keys
from service.job_store.lease import Renewal
from service.job_store.leases import Leases
from tests.fakes.store_jobs import job


async def test_a_job_that_must_start_soon_expires_unclaimed(store, leases):
    new = job(start_within=timedelta(milliseconds=1))
    await store.submit(new)
    await asyncio.sleep(0.01)

    claim = await leases.claim(1, held={})

    assert claim.leases == ()
    assert (await store.get(new.id, account="ada")).state is JobState.EXPIRED


async def test_interactive_jobs_start_before_the_batch_of_the_same_account(
    store, leases
):
    for _ in range(20):
        await store.submit(job(priority=Priority.BATCH))
    quick = job(priority=Priority.INTERACTIVE)
    await store.submit(quick)

    claim = await leases.claim(2, held={})

    assert quick.id in {lease.job_id for lease in claim.leases}


async def test_accounts_share_by_weight(store, leases):
    for _ in range(20):
        await store.submit(job(account="one", key_id="k1"))
        await store.submit(job(account="three", key_id="k3", weight=3))

    claim = await leases.claim(16, held={})

    heavy = sum(lease.account == "three" for lease in claim.leases)
    assert 11 <= heavy <= 13


async def test_a_canceled_backlog_gives_its_place_back(store, leases):
    backlog = [job() for _ in range(10)]
    for new in backlog:
        await store.submit(new)
    for new in backlog:
        await store.cancel(new.id, account="ada")
    mine = job()
    await store.submit(mine)
    for _ in range(5):
        await store.submit(job(account="bob"))

    claim = await leases.claim(2, held={})

    assert mine.id in {lease.job_id for lease in claim.leases}


async def test_a_lapsed_lease_that_nobody_took_over_is_renewed(store, redis):
    jobs = [job() for _ in range(3)]
    for new in jobs:
        await store.submit(new)
    brief = timedelta(milliseconds=30)
    frozen = Leases(redis, worker="frozen", slots=4, lease=brief)
    other = Leases(redis, worker="other", slots=4, lease=timedelta(seconds=15))
    held = (await frozen.claim(3, held={})).leases
    await asyncio.sleep(0.05)

    taken = (await other.claim(3, held={})).leases
    renewals = await frozen.renew(held)

    # Four slots have room for two suspects; the one left behind is still ours.
    assert len(taken) == 2
    assert sorted(renewals) == [Renewal.FENCED, Renewal.FENCED, Renewal.RENEWED]
    lanes = [keys.QUEUE, *(f"{keys.QUEUE}:suspects:{k}" for k in range(1, 6))]
    assert sum([await redis.zcard(lane) for lane in lanes]) == 3
    await frozen.aclose()
    await other.aclose()


async def test_a_record_of_a_later_version_waits_for_a_worker_that_reads_it(
    redis, store
):
    later, plain = job(), job()
    for new in (later, plain):
        await store.submit(new)
    await redis.hset(keys.job(later.id), "v", 2)
    old = Leases(redis, worker="old", slots=10, version=1)
    new = Leases(redis, worker="new", slots=10, version=2)

    by_old = await old.claim(10, held={})
    by_new = await new.claim(10, held={})

    assert [lease.job_id for lease in by_old.leases] == [plain.id]
    assert [(lease.job_id, lease.fence) for lease in by_new.leases] == [(later.id, 1)]
    assert (await store.get(later.id, account="ada")).attempts == 0
    await old.aclose()
    await new.aclose()


async def test_a_key_goes_on_with_what_old_workers_read_while_later_ones_wait(
    redis, store
):
    later, plain = job(most_running=1), job(most_running=1)
    await store.submit(later)
    await redis.hset(keys.job(later.id), "v", 2)
    old = Leases(redis, worker="old", slots=10, version=1)
    await store.submit(plain)

    claim = await old.claim(10, held={})

    assert [lease.job_id for lease in claim.leases] == [plain.id]
    await old.aclose()


async def test_a_worker_takes_no_more_later_records_back_than_it_may_soon_run(
    redis, store
):
    backlog = 120
    for _ in range(backlog):
        await store.submit(new := job())
        await redis.hset(keys.job(new.id), "v", 2)
    old = Leases(redis, worker="old", slots=10, version=1)
    new = Leases(redis, worker="new", slots=10, version=2)
    await old.claim(10, held={})

    claim = await new.claim(3, held={})

    assert len(claim.leases) == 3
    assert claim.left
    assert await redis.zcard(keys.wait("version:2")) == backlog - 50
    await old.aclose()
    await new.aclose()


async def test_a_later_record_whose_worker_died_is_left_for_another_like_it(
    redis, store
):
    await store.submit(job())
    new = Leases(
        redis, worker="new", slots=10, lease=timedelta(milliseconds=20), version=2
    )
    old = Leases(redis, worker="old", slots=10, version=1)
    [lost] = (await new.claim(1, held={})).leases
    await redis.hset(keys.job(lost.job_id), "v", 2)
    await asyncio.sleep(0.05)

    by_old = await old.claim(10, held={})
    by_new = await new.claim(10, held={})

    assert by_old.leases == ()
    assert [lease.fence for lease in by_new.leases] == [2]
    assert [lease.interruptions for lease in by_new.leases] == [1]
    await old.aclose()
    await new.aclose()


async def test_a_worker_that_was_only_stunned_keeps_its_later_record(redis, store):
    await store.submit(job())
    new = Leases(
        redis, worker="new", slots=10, lease=timedelta(milliseconds=20), version=2
    )
    old = Leases(redis, worker="old", slots=10, version=1)
    [stunned] = (await new.claim(1, held={})).leases
    await redis.hset(keys.job(stunned.job_id), "v", 2)
    await asyncio.sleep(0.05)
    await old.claim(10, held={})
    awake = Leases(redis, worker="awake", slots=10, version=2)

    aside = await redis.zcard(keys.wait("version:2"))
    renewed = await awake.renew([stunned])
    again = await awake.claim(10, held={})

    assert aside == 1
    assert renewed == [Renewal.RENEWED]
    assert await redis.zcard(keys.wait("version:2")) == 0
    assert await redis.zcard(keys.QUEUE) == 1
    assert again.leases == ()
    for each in (old, new, awake):
        await each.aclose()


async def test_however_many_later_records_were_lost_they_hide_no_suspect(redis, store):
    plain = job()
    lost = [*(job() for _ in range(250)), plain]
    for one in lost:
        await store.submit(one)
    new = Leases(
        redis, worker="new", slots=300, lease=timedelta(milliseconds=20), version=2
    )
    old = Leases(redis, worker="old", slots=10, version=1)
    assert len((await new.claim(300, held={})).leases) == len(lost)
    for one in lost[:-1]:
        await redis.hset(keys.job(one.id), "v", 2)
    await asyncio.sleep(0.05)

    claims = [await old.claim(10, held={}) for _ in range(4)]

    assert [lease.job_id for claim in claims for lease in claim.leases] == [plain.id]
    await old.aclose()
    await new.aclose()
