"""Jobs that are looked at, listed, canceled and deleted; here on fakeredis.

`tests/wire/test_job_store.py` runs these sentences, and those of the other files on
jobs here, on a real Valkey, which decides.
"""

import asyncio

import pytest

from service.core.errors import (
    AlreadyFinished,
    JobDeleted,
    JobNotFound,
)
from service.core.jobs import JobState, new_job_id
from service.job_store import keys
from service.job_store.lease import Renewal
from tests.fakes.store_jobs import DONE, job


async def test_foreign_and_unknown_jobs_look_the_same(store):
    new = job()
    await store.submit(new)

    for job_id in (new.id, new_job_id(), "../etc", "x" * 5000):
        with pytest.raises(JobNotFound, match=r"^no such job$"):
            await store.get(job_id, account="bob")


async def test_a_deleted_job_is_gone_for_its_owner_and_unknown_to_others(store):
    new = job()
    await store.submit(new)
    await store.cancel(new.id, account="ada")

    await store.forget([new.id])

    with pytest.raises(JobDeleted):
        await store.get(new.id, account="ada")
    with pytest.raises(JobNotFound):
        await store.get(new.id, account="bob")
    assert (await store.list_jobs("ada", limit=10)).jobs == ()


async def test_unfinished_jobs_are_not_forgotten(store):
    new = job()
    await store.submit(new)

    await store.forget([new.id])

    assert (await store.get(new.id, account="ada")).state is JobState.QUEUED


async def test_canceling_twice_is_canceling_once(store):
    new = job()
    await store.submit(new)

    first = await store.cancel(new.id, account="ada")
    again = await store.cancel(new.id, account="ada")

    assert first == again
    assert first.state is JobState.CANCELED


async def test_a_finished_job_cannot_be_canceled(store, leases):
    new = job()
    await store.submit(new)
    [lease] = (await leases.claim(1, held={})).leases
    await leases.commit(lease, DONE)

    with pytest.raises(AlreadyFinished):
        await store.cancel(new.id, account="ada")


async def test_a_running_job_that_is_canceled_stays_so(store, leases):
    new = job()
    await store.submit(new)
    [lease] = (await leases.claim(1, held={})).leases

    await store.cancel(new.id, account="ada")
    renewal = await leases.renew([lease])
    kept = await leases.commit(lease, DONE)

    canceled = await store.get(new.id, account="ada")
    assert renewal == [Renewal.CANCELED]
    assert not kept
    assert canceled.state is JobState.CANCELED
    assert canceled.images == ()
    assert [attempt.ms for attempt in canceled.trail] == [7]


async def test_jobs_are_listed_newest_first_in_pages(store):
    ids = []
    for _ in range(5):
        ids.append((await store.submit(job())).job_id)
        await asyncio.sleep(0.002)  # the listing is by millisecond

    first = await store.list_jobs("ada", limit=2)
    second = await store.list_jobs("ada", limit=3, after=first.jobs[-1].id)

    assert [j.id for j in first.jobs + second.jobs] == ids[::-1]
    assert (first.more, second.more) == (True, False)


async def test_a_listing_finds_what_matches_behind_what_does_not(store):
    wanted = await store.submit(job(metadata={"a": "b"}))
    await asyncio.sleep(0.002)
    for _ in range(20):
        await store.submit(job())

    page = await store.list_jobs("ada", limit=2, matches=lambda j: "a" in j.metadata)

    assert [j.id for j in page.jobs] == [wanted.job_id]


async def test_every_change_of_state_is_an_event(store, leases, redis):
    new = job()
    await store.submit(new)
    [lease] = (await leases.claim(1, held={})).leases
    await leases.commit(lease, DONE)

    events = await redis.xrange(keys.events("ada"))

    assert [fields[b"state"] for _, fields in events] == [
        b"queued",
        b"running",
        b"succeeded",
    ]
