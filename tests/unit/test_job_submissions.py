"""What becomes of a submission: once is once, and nobody gets more than his share."""

import asyncio
from dataclasses import replace

import pytest

from service.core.errors import (
    IdempotencyMismatch,
    QueueUnavailable,
    TooMuch,
)
from service.core.jobs import JobState, new_job_id
from service.job_store import JobStore
from tests.fakes.store_jobs import DONE, job


async def test_a_job_is_read_back_as_it_was_submitted(store):
    new = job(metadata={"shop": "münchen"})

    submitted = await store.submit(new)

    read = await store.get(submitted.job_id, account="ada")
    assert read.request == new.request
    assert read.state is JobState.QUEUED
    assert read.metadata == {"shop": "münchen"}
    assert await store.position(read) == 1


async def test_the_same_submission_twice_is_one_job(store):
    new = job()

    await store.submit(new)
    again = await store.submit(new)

    assert again.job_id == new.id
    assert len((await store.list_jobs("ada", limit=10)).jobs) == 1


async def test_equal_names_and_contents_join_the_first_job(store):
    first = job(idempotency_name="one", content_hash="h")

    made = await store.submit(first)
    joined = await store.submit(replace(first, id=new_job_id()))

    assert (joined.job_id, joined.joined) == (made.job_id, True)


async def test_two_hundred_parallel_equal_submissions_are_one_job(store):
    new = job(idempotency_name="one", content_hash="h")

    answers = await asyncio.gather(
        *(store.submit(replace(new, id=new_job_id())) for _ in range(200))
    )

    assert len({answer.job_id for answer in answers}) == 1
    assert sum(not answer.joined for answer in answers) == 1


async def test_a_name_used_for_other_content_is_refused(store):
    await store.submit(job(idempotency_name="one", content_hash="h"))

    with pytest.raises(IdempotencyMismatch):
        await store.submit(job(idempotency_name="one", content_hash="other"))


async def test_a_name_of_another_account_is_another_name(store):
    await store.submit(job(idempotency_name="one", content_hash="h"))

    theirs = await store.submit(
        job(account="bob", idempotency_name="one", content_hash="other")
    )

    assert not theirs.joined


async def test_a_key_has_no_more_unfinished_jobs_than_it_may(store, leases):
    for _ in range(3):
        await store.submit(job(most_queued=3))

    with pytest.raises(TooMuch, match="3 unfinished") as refused:
        await store.submit(job(most_queued=3))
    [lease] = (await leases.claim(1, held={})).leases
    await leases.commit(lease, DONE)
    await store.submit(job(most_queued=3))

    assert refused.value.code == "queue_full"


async def test_the_backlog_of_all_is_bounded(redis):
    store = JobStore(redis, backlog=50)
    await asyncio.gather(*(store.submit(job(key_id=f"key_{i}")) for i in range(50)))

    with pytest.raises(QueueUnavailable):
        await store.submit(job(key_id="key_x"))
    await store.aclose()
