"""Ephemeral jobs: their words go with their end, their images when asked."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from service.core.jobs import JobState
from service.core.requests import GenerationRequest
from service.job_store import keys
from service.job_store.outcomes import Outcome
from tests.fakes.store_jobs import ATTEMPT, DONE, IMAGE, PROMPT, finish, job


async def test_the_words_of_an_ephemeral_job_go_when_it_is_final(store, leases, redis):
    secret = GenerationRequest(
        model="test/test",
        prompt=PROMPT,
        negative_prompt=PROMPT,
        user=PROMPT,
        extra={"said": PROMPT},
        seed=7,
    )
    new = job(ephemeral=True, request=secret, cache_key="c0ffee")
    await store.submit(new)
    [lease] = (await leases.claim(1, held={})).leases
    revised = replace(IMAGE, revised_prompt=PROMPT)

    await leases.commit(lease, replace(DONE, images=(revised,)))

    done = await store.get(new.id, account="ada")
    assert lease.request == secret
    assert lease.ephemeral
    assert done.ephemeral
    assert (done.request.prompt, done.request.seed) == ("", 7)
    assert [image.key for image in done.images] == [IMAGE.key]
    record = await redis.hgetall(keys.job(new.id))
    assert "fox" not in str(record)
    assert await store.cached("ada", "c0ffee") is None


@pytest.mark.parametrize("end", ["cancel", "fail", "expire"])
async def test_the_words_go_whatever_the_end(store, leases, redis, end):
    within = timedelta(milliseconds=1) if end == "expire" else None
    new = job(ephemeral=True, start_within=within)
    await store.submit(new)
    if end == "cancel":
        await store.cancel(new.id, account="ada")
    elif end == "fail":
        failed = Outcome(state=JobState.FAILED, attempt=ATTEMPT, error={"code": "x"})
        await finish(leases, failed)
    else:
        await asyncio.sleep(0.01)
        await leases.claim(1, held={})

    ended = await store.get(new.id, account="ada")

    assert ended.state.is_final
    assert ended.request.prompt == ""
    assert await redis.zscore(keys.EPHEMERAL, new.id) > 0


async def test_a_purged_job_has_its_cost_but_no_images(store, leases, redis):
    new = job(ephemeral=True)
    await store.submit(new)
    await store.purge(new.id)
    usage = {"total_tokens": 5}
    await finish(
        leases, replace(DONE, cost_usd="0.04", cost_source="priced", usage=usage)
    )

    await store.purge(new.id)
    await store.purge(new.id)

    purged = await store.get(new.id, account="ada")
    assert (purged.state, purged.images) == (JobState.SUCCEEDED, ())
    assert (purged.cost_usd, purged.cost_source) == ("0.04", "priced")
    assert purged.usage == usage
    assert await redis.zcard(keys.EPHEMERAL) == 0


async def test_only_ephemeral_jobs_are_purged(store, leases):
    new = job()
    await store.submit(new)
    await finish(leases, DONE)

    await store.purge(new.id)

    assert (await store.get(new.id, account="ada")).images == (IMAGE,)
