"""Unfinished images, from the worker that has them to whoever waits."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import orjson
import pytest
from redis.asyncio import Redis

from service.core.errors import StoreUnavailable
from service.core.jobs import JobId, new_job_id
from service.core.requests import GenerationRequest, Priority
from service.image_store.local import LocalImageStore
from service.imaging import Imaging
from service.job_store.lease import Lease
from service.partials import Mailbox, Partial, Partials, announce, partial_key
from tests.fakes.pictures import draw
from workers.partials import Partials as Showing

PICTURE = draw("half a fox", width=8, height=8)
REQUEST = GenerationRequest(model="fox/one", prompt="a fox", partial_images=2)
LONG, MOMENT = timedelta(hours=1), timedelta(milliseconds=1)


class AbsentStore:
    """A store that is away."""

    async def put(self, key: str, data: bytes, *, content_type: str) -> None:
        raise StoreUnavailable("away")

    async def delete(self, key: str) -> None:
        raise StoreUnavailable("away")


@pytest.fixture
def images(tmp_path: Path) -> LocalImageStore:
    return LocalImageStore(
        tmp_path, base_url="http://127.0.0.1", secret=b"s" * 32, lifetime=LONG
    )


@pytest.fixture
async def imaging() -> AsyncIterator[Imaging]:
    pool = Imaging(processes=1)
    yield pool
    await pool.close()


@pytest.fixture
def lease() -> Lease:
    return Lease(
        job_id=new_job_id(),
        fence=3,
        payload=orjson.dumps(REQUEST.to_record()),
        attempts=0,
        interruptions=0,
        priority=Priority.NORMAL,
        account="ada",
        taken_at=0.0,
    )


@pytest.fixture
async def partials(redis: Redis) -> AsyncIterator[Partials]:
    """A listener that hears, from the first line of the test on."""
    async with Partials(redis) as listening:
        mailbox, job_id = Mailbox(), new_job_id()
        with listening.delivered_to(mailbox, job_id):
            while mailbox.empty():
                await announce(redis, job_id, Partial(1, 0))
                await asyncio.sleep(0.01)
        yield listening


async def test_image_is_stored_and_announced(redis, images, imaging, lease, partials):
    mailbox, showing = Mailbox(), Showing(redis, images, imaging)

    with partials.delivered_to(mailbox, lease.job_id):
        await showing.of(lease, REQUEST)(PICTURE, 1)
        async with asyncio.timeout(5):
            announced = await mailbox.get()

    assert announced == Partial(fence=3, number=1)
    assert await images.get(partial_key(lease.job_id, announced)) == PICTURE
    await showing.aclose()


async def test_images_of_other_jobs_are_for_others(redis, partials):
    ours, theirs, job_id = Mailbox(), Mailbox(), new_job_id()

    with (
        partials.delivered_to(ours, job_id),
        partials.delivered_to(theirs, JobId("job_other")),
    ):
        await announce(redis, job_id, Partial(1, 0))
        async with asyncio.timeout(5):
            await ours.get()

    assert theirs.empty()


async def test_image_comes_in_the_format_that_was_asked_for(
    redis, images, imaging, lease
):
    showing = Showing(redis, images, imaging)
    jpeg = GenerationRequest(
        model="fox/one", prompt="x", partial_images=1, output_format="jpeg"
    )

    await showing.of(lease, jpeg)(PICTURE, 0)

    kept = await images.get(partial_key(lease.job_id, Partial(3, 0)))
    assert kept.startswith(b"\xff\xd8\xff")
    await showing.aclose()


async def test_images_are_removed_soon(redis, images, imaging, lease):
    showing = Showing(redis, images, imaging, life=MOMENT)

    await showing.of(lease, REQUEST)(PICTURE, 0)

    async with asyncio.timeout(5):
        while await images.list("jobs/"):
            await asyncio.sleep(0.01)


async def test_worker_that_ends_leaves_none(redis, images, imaging, lease):
    showing = Showing(redis, images, imaging, life=LONG)
    await showing.of(lease, REQUEST)(PICTURE, 0)
    kept = await images.list("jobs/")

    await showing.aclose()

    assert len(kept) == 1
    assert await images.list("jobs/") == []


async def test_what_cannot_be_shown_is_dropped(redis, images, imaging, lease):
    showing = Showing(redis, images, imaging)
    show = showing.of(lease, REQUEST)

    await show(b"no image", 0)
    await show(PICTURE, 2)  # two were asked for: 0 and 1
    await show(PICTURE, -1)

    assert await images.list("jobs/") == []
    await showing.aclose()


async def test_store_that_is_away_stops_nothing(redis, imaging, lease):
    showing = Showing(redis, AbsentStore(), imaging)

    await showing.of(lease, REQUEST)(PICTURE, 0)

    await showing.aclose()
