"""The chores, on a real Valkey and real files."""

import asyncio
import contextlib
import time
from dataclasses import replace
from datetime import timedelta

import pytest
from redis.asyncio import Redis

from service.core.errors import JobDeleted, StoreUnavailable
from service.core.jobs import JobState, new_job_id
from service.files import Files, Terms
from service.image_store.local import LocalImageStore
from service.job_store import JobStore, keys
from service.job_store.leases import Leases
from service.job_store.outcomes import Outcome
from tests.fakes.store_jobs import ATTEMPT, job
from workers.sweep import Sweep

MOMENT = timedelta(milliseconds=1)
DAY = timedelta(days=1)


@pytest.fixture
def images(tmp_path):
    return LocalImageStore(
        tmp_path, base_url="http://127.0.0.1", secret=b"s" * 32, lifetime=DAY
    )


async def test_what_was_kept_long_enough_is_deleted_with_its_images(redis, images):
    store = JobStore(redis)
    new = job()
    await store.submit(new)
    leases = Leases(redis, worker="w", slots=1, retention=MOMENT)
    [lease] = (await leases.claim(1, held={})).leases
    key = f"jobs/{new.id}/1/0"
    await images.put(key, b"bytes", content_type="image/png")
    await leases.commit(lease, Outcome(state=JobState.SUCCEEDED, attempt=ATTEMPT))
    await asyncio.sleep(0.01)

    await Sweep(redis, images, retention=MOMENT).forget_old()

    with pytest.raises(JobDeleted):
        await store.get(new.id, account="ada")
    assert await images.list(f"jobs/{new.id}/") == []
    await leases.aclose()
    await store.aclose()


async def test_files_that_have_expired_are_deleted_and_others_stay(redis, images):
    files, terms = Files(redis, images), {"filename": "x", "purpose": "batch"}
    ends = [timedelta(milliseconds=1), DAY, None] + 150 * [timedelta(milliseconds=1)]
    for end in ends:
        async with files.writing() as writing:
            await writing.add(b"bytes")
            await writing.keep(Terms(account="ada", expires_after=end, **terms))
    await asyncio.sleep(0.01)

    await Sweep(redis, images, retention=DAY).forget_files()

    left = (await files.page("ada", limit=10)).files
    assert {file.expires_at is None for file in left} == {True, False}
    assert len(await images.list("files/")) == 2
    assert len(await redis.keys("darkroom:file:*")) == 2 + 1


async def test_what_is_not_old_enough_stays(redis, images):
    store = JobStore(redis, retention=DAY)
    new = job()
    await store.submit(new)
    await store.cancel(new.id, account="ada")

    await Sweep(redis, images, retention=DAY).forget_old()

    assert (await store.get(new.id, account="ada")).state is JobState.CANCELED
    await store.aclose()


async def test_images_that_came_without_a_job_are_deleted_in_time(redis, images):
    store, job_id = JobStore(redis), new_job_id()
    await store.announce(job_id)
    await images.put(f"jobs/{job_id}/inputs/0", b"bytes", content_type="image/png")
    sweep = Sweep(redis, images, retention=DAY)

    await sweep.forget_old()
    before = await images.list(f"jobs/{job_id}/")
    await redis.zadd(keys.RETENTION, {job_id: 1})
    await sweep.forget_old()

    assert before == [f"jobs/{job_id}/inputs/0"]
    assert await images.list(f"jobs/{job_id}/") == []
    assert await redis.zcard(keys.RETENTION) == 0
    await store.aclose()


@pytest.mark.parametrize("claimed", [False, True])
async def test_the_images_of_a_job_that_lives_stay(redis, images, claimed):
    store, new = JobStore(redis), job()
    await store.announce(new.id)
    await images.put(f"jobs/{new.id}/inputs/0", b"bytes", content_type="image/png")
    await store.submit(new)
    leases = Leases(redis, worker="w", slots=1, retention=MOMENT)
    leased = (await leases.claim(1, held={})).leases if claimed else []
    await redis.zadd(keys.RETENTION, {new.id: 1})
    sweep = Sweep(redis, images, retention=MOMENT)

    await sweep.forget_old()

    [(_, due_ms)] = await redis.zrange(keys.RETENTION, 0, -1, withscores=True)
    assert due_ms > (time.time() + 3000) * 1000
    assert len(await images.list(f"jobs/{new.id}/")) == 1
    if claimed:
        outcome = Outcome(state=JobState.SUCCEEDED, attempt=ATTEMPT)
        await leases.commit(leased[0], outcome)
        await asyncio.sleep(0.01)
        await sweep.forget_old()
        assert await images.list(f"jobs/{new.id}/") == []
    await leases.aclose()
    await store.aclose()


async def test_an_image_put_down_after_the_deletion_is_found_later(redis, images):
    store = JobStore(redis)
    new = job()
    await store.submit(new)
    await store.cancel(new.id, account="ada")
    await store.forget([new.id])
    await images.put(f"jobs/{new.id}/1/0", b"late", content_type="image/png")

    [due_ms] = [
        score for _, score in await redis.zrange(keys.RETENTION, 0, -1, withscores=True)
    ]
    await redis.zadd(keys.RETENTION, {new.id: 1})
    await Sweep(redis, images, retention=DAY).forget_old()

    assert due_ms > time.time() * 1000
    assert await images.list(f"jobs/{new.id}/") == []
    assert await redis.zcard(keys.RETENTION) == 0
    await store.aclose()


async def test_jobs_past_their_deadline_expire_without_a_worker(redis, images):
    store = JobStore(redis)
    new = job(start_within=MOMENT)
    await store.submit(new)
    await asyncio.sleep(0.01)

    await Sweep(redis, images, retention=DAY).expire()

    assert (await store.get(new.id, account="ada")).state is JobState.EXPIRED
    await store.aclose()


async def test_workers_that_were_killed_are_struck_off(redis, images):
    now_ms = time.time() * 1000
    await redis.zadd(keys.WORKERS, {"alive": now_ms, "killed": now_ms - 3_600_000})

    await Sweep(redis, images, retention=DAY).forget_workers()

    assert await redis.zrange(keys.WORKERS, 0, -1) == [b"alive"]


async def test_what_checks_of_the_store_left_behind_is_deleted(redis, images, tmp_path):
    class Stuck(LocalImageStore):
        """Deletes nothing, as one whose policy forbids it."""

        async def delete(self, key):
            raise StoreUnavailable(key)

    stuck = Stuck(tmp_path, base_url="", secret=b"s" * 32, lifetime=DAY)
    with pytest.raises(StoreUnavailable):
        await stuck.check()
    [late] = await images.list("checks/")
    for old in ("checks/1700000000-ab", "checks/0123456789abcdef"):
        await images.put(old, b"x", content_type="text/plain")

    await Sweep(redis, images, retention=DAY).forget_checks()

    assert await images.list("checks/") == [late]


async def test_a_chore_that_crashes_stops_no_other(redis, tmp_path):
    class Rotten(LocalImageStore):
        async def list(self, prefix):
            raise ValueError(prefix)

    store = JobStore(redis, retention=MOMENT)
    rotten, late = job(), job(start_within=MOMENT)
    await store.submit(rotten)
    await store.cancel(rotten.id, account="ada")
    await store.submit(late)

    rotten_images = Rotten(
        tmp_path,
        base_url="http://127.0.0.1",
        secret=b"s" * 32,
        lifetime=DAY,
    )
    async with asyncio.timeout(5), Sweep(redis, rotten_images, retention=DAY):
        while not (done := await store.get(late.id, account="ada")).state.is_final:
            await asyncio.sleep(0.05)

    assert done.state is JobState.EXPIRED
    await store.aclose()


async def test_chores_end_though_they_do_not_hear_it_at_once(redis, images):
    class Deaf(Redis):
        """Loses a cancellation, as redis-py can to a reply."""

        async def set(self, *_, **__):
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.Event().wait()

    deaf, before = Deaf(connection_pool=redis.connection_pool), asyncio.all_tasks()

    async with Sweep(deaf, images, retention=DAY):
        await asyncio.sleep(0)  # so that they have begun

    assert asyncio.all_tasks() == before


async def test_ephemeral_images_nobody_came_for_are_removed(redis, images):
    store = JobStore(redis)
    new = replace(job(), ephemeral=True)
    await store.submit(new)
    leases = Leases(redis, worker="w", slots=1)
    [lease] = (await leases.claim(1, held={})).leases
    for name in ("1/0", "1/receipt.json", "inputs/0"):
        await images.put(f"jobs/{new.id}/{name}", b"x", content_type="image/png")
    await leases.commit(lease, Outcome(state=JobState.SUCCEEDED, attempt=ATTEMPT))
    sweep = Sweep(redis, images, retention=DAY)

    await sweep.purge_delivered()
    kept = await images.list(f"jobs/{new.id}/")
    await redis.zadd(keys.EPHEMERAL, {new.id: 1})  # ten minutes later
    await sweep.purge_delivered()

    assert len(kept) == 3
    assert await images.list(f"jobs/{new.id}/") == []
    assert await redis.zcard(keys.EPHEMERAL) == 0
    await leases.aclose()
    await store.aclose()
