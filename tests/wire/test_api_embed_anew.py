"""Images that are late, failed or lost: who waits, and who makes them anew."""

import asyncio
from pathlib import Path

from redis.asyncio import Redis

from tests.fakes.door import FrontDoor, front_door
from tests.fakes.embeds import EMBED, look
from tests.fakes.valkey import Valkey
from tests.fakes.worker import FakeWorker, failing, never


async def test_image_that_takes_too_long_is_waited_for_by_the_next_look(
    shared_valkey: Valkey, redis: Redis, tmp_path: Path
):
    async with front_door(shared_valkey.url, tmp_path, sync_wait_s=0.2) as door:
        _, secret = await door.knows("default", scopes=EMBED)
        late = await look(door, secret)
        later = await look(door, secret)
        async with FakeWorker(redis, door.images) as worker:
            job_id = late.headers["x-job-id"]
            await door.get(f"/v1/jobs/{job_id}?wait=5")
            last = await look(door, secret)

    assert (late.status, late.code) == (504, "still_running")
    assert int(late.headers["Retry-After"]) > 0
    assert later.headers["x-job-id"] == job_id
    assert (last.status, last.headers["X-Cache"]) == (200, "HIT")
    assert len(worker.seen) == 1


async def test_failure_is_told_to_all_and_not_tried_again_at_once(
    door: FrontDoor, worker: FakeWorker, embed_secret: str
):
    worker.verdict = failing("content_policy")

    first, *rest = [await look(door, embed_secret) for _ in range(3)]

    assert (first.status, first.code) == (400, "content_policy")
    assert first.headers["Cache-Control"] == "no-store"
    assert [answer.code for answer in rest] == ["content_policy"] * 2
    assert len(worker.seen) == 1


async def test_canceled_image_is_made_anew(
    door: FrontDoor, worker: FakeWorker, embed_secret: str
):
    worker.verdict = never
    gone = asyncio.create_task(look(door, embed_secret))
    while not worker.seen:
        await asyncio.sleep(0.01)
    await door.post(f"/v1/jobs/{worker.seen[0].job_id}/cancel")
    worker.verdict = worker.succeed

    answer = await look(door, embed_secret)

    assert (await gone).code == "canceled"
    assert (answer.status, answer.headers["X-Cache"]) == (200, "MISS")


async def test_deleted_image_is_made_anew(
    door: FrontDoor, worker: FakeWorker, embed_secret: str
):
    first = await look(door, embed_secret)
    await door.call("DELETE", f"/v1/jobs/{first.headers['x-job-id']}")

    answer = await look(door, embed_secret)

    assert (answer.status, answer.headers["X-Cache"]) == (200, "MISS")


async def test_image_that_is_lost_is_made_anew(
    door: FrontDoor, worker: FakeWorker, embed_secret: str
):
    await look(door, embed_secret)
    for key in await door.images.list("jobs/"):
        await door.images.delete(key)

    answers = [await look(door, embed_secret) for _ in range(2)]

    assert [answer.status for answer in answers] == [200, 200]
    assert [answer.headers["X-Cache"] for answer in answers] == ["MISS", "HIT"]
    assert len(worker.seen) == 2
