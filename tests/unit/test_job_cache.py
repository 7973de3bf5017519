"""Equal requests of one account: one job answers them all."""

import asyncio
from dataclasses import replace

import pytest

from service.core.jobs import JobState, new_job_id
from service.job_store import keys
from service.job_store.outcomes import Outcome
from tests.fakes.store_jobs import ATTEMPT, DONE, finish, job


async def test_an_equal_request_joins_the_job_under_way(store, redis):
    first = await store.submit(job(cache_key="c0ffee", units=5, quota=5))

    second = await store.submit(job(cache_key="c0ffee", units=5, quota=5))

    assert (second.job_id, second.joined) == (first.job_id, True)
    assert await redis.hget(keys.use("key_1"), "reserved") == b"5"
    found = await store.cached("ada", "c0ffee")
    assert found is not None
    assert found.id == first.job_id


async def test_an_equal_request_joins_the_job_that_was_done_whole(store, leases):
    first = await store.submit(job(cache_key="c0ffee"))
    await finish(leases, DONE)

    second = await store.submit(job(cache_key="c0ffee"))

    assert (second.job_id, second.joined) == (first.job_id, True)


@pytest.mark.parametrize(
    "outcome",
    [
        Outcome(state=JobState.FAILED, attempt=ATTEMPT, error={"code": "x"}),
        replace(DONE, error={"code": "partial_result"}, asked=2),
    ],
    ids=["failed", "partial"],
)
async def test_what_was_not_done_whole_answers_for_nobody(store, leases, outcome):
    first = await store.submit(job(cache_key="c0ffee"))
    await finish(leases, outcome)

    found = await store.cached("ada", "c0ffee")
    second = await store.submit(job(cache_key="c0ffee"))
    third = await store.submit(job(cache_key="c0ffee"))

    assert found is None
    assert not second.joined
    assert second.job_id != first.job_id
    assert (third.job_id, third.joined) == (second.job_id, True)


async def test_another_accounts_images_answer_for_nobody_else(store):
    await store.submit(job(cache_key="c0ffee"))

    theirs = await store.submit(job(account="bob", cache_key="c0ffee"))

    assert not theirs.joined


async def test_a_joined_submission_can_be_repeated_by_its_name(store, leases):
    first = await store.submit(job(cache_key="c0ffee"))
    named = job(cache_key="c0ffee", idempotency_name="one", content_hash="h")
    await store.submit(named)

    again = await store.submit(replace(named, id=new_job_id(), cache_key=None))

    assert (again.job_id, again.joined) == (first.job_id, True)


async def test_two_hundred_parallel_equal_requests_are_one_job(store):
    answers = await asyncio.gather(
        *(store.submit(job(cache_key="c0ffee")) for _ in range(200))
    )

    assert len({answer.job_id for answer in answers}) == 1
    assert sum(not answer.joined for answer in answers) == 1
