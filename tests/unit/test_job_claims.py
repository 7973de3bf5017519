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

    # Four slots have room for one suspect; the two left behind are still ours.
    assert len(taken) == 1
    assert sorted(renewals) == [Renewal.FENCED, Renewal.RENEWED, Renewal.RENEWED]
    lanes = [keys.QUEUE, *(f"{keys.QUEUE}:suspects:{k}" for k in range(1, 6))]
    assert sum([await redis.zcard(lane) for lane in lanes]) == 3
    await frozen.aclose()
    await other.aclose()
