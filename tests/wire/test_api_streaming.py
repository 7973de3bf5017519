"""Images as events: what a caller sees come, and what ends it."""

import asyncio
import base64
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import orjson
import pytest
from redis.asyncio import Redis

from service.image_store.local import media_type
from service.settings import Limits
from tests.fakes.door import SECRET, FrontDoor, front_door
from tests.fakes.studio import studio
from tests.fakes.valkey import Valkey
from tests.fakes.worker import FakeWorker, failing, never

ROUTE = "/v1/images/generations"
ASK = {"model": "test/test", "prompt": "a fox", "stream": True}
KEY = {"Authorization": f"Bearer {SECRET}"}


class Event(NamedTuple):
    """One event, or a comment where it has no name."""

    name: str
    data: Any


async def events(content: aiohttp.StreamReader) -> AsyncIterator[Event]:
    frame = b""
    async for chunk in content.iter_any():
        frame += chunk
        while b"\n\n" in frame:
            whole, _, frame = frame.partition(b"\n\n")
            if whole.startswith(b":"):
                yield Event("", whole.decode())
                continue
            name, data = whole.removeprefix(b"event: ").split(b"\ndata: ")
            yield Event(name.decode(), orjson.loads(data))
    assert frame == b""


async def until(holds: Callable[[], Any], *, within_s: float) -> None:
    async with asyncio.timeout(within_s):
        while not holds():
            await asyncio.sleep(0.01)


async def seen(door: FrontDoor, **fields: Any) -> list[Event]:
    async with (
        aiohttp.ClientSession() as http,
        http.post(door.url + ROUTE, json={**ASK, **fields}, headers=KEY) as response,
    ):
        assert response.status == 200
        assert response.headers["Content-Type"] == "text/event-stream"
        assert response.headers["x-job-id"].startswith("job_")
        return [event async for event in events(response.content)]


@pytest.fixture
async def restless(
    shared_valkey: Valkey, redis: Redis, tmp_path: Path
) -> AsyncIterator[FrontDoor]:
    """A front door that has something to say almost at once."""
    async with front_door(shared_valkey.url, tmp_path, heartbeat_s=0.1) as door:
        yield door


async def test_unfinished_images_come_before_the_finished_one(door: FrontDoor):
    async with studio(door.settings):
        came = await seen(door, partial_images=2, size="512x512", quality="low")

    *partials, completed = came
    assert [event.name for event in came] == [
        "image_generation.partial_image",
        "image_generation.partial_image",
        "image_generation.completed",
    ]
    assert [event.data["partial_image_index"] for event in partials] == [0, 1]
    for event in came:
        assert event.data["type"] == event.name
        assert event.data["size"] == "512x512"
        assert event.data["quality"] == "low"
        assert event.data["background"] == "auto"
        assert event.data["output_format"] == "png"
        image = base64.b64decode(event.data["b64_json"])
        assert media_type(image) == "image/png"
    assert len({event.data["b64_json"] for event in came}) == 3
    assert completed.data["usage"] is None


async def test_nothing_of_unfinished_images_is_left(door: FrontDoor):
    async with studio(door.settings):
        await seen(door, partial_images=3)

    kept = await door.images.list("jobs/")
    assert [key for key in kept if "partial" in key] == []


async def test_every_finished_image_has_its_event(door: FrontDoor, worker: FakeWorker):
    came = await seen(door, n=3, response_format="url")

    assert [event.name for event in came] == ["image_generation.completed"] * 3
    assert all(event.data["url"].startswith(door.url) for event in came)


async def test_what_all_images_share_is_told_with_the_last(
    door: FrontDoor, worker: FakeWorker
):
    tokens = {"input_tokens": 10, "output_tokens": 2, "total_tokens": 12}
    missing = {"code": "partial_result", "message": "2 of 3 images were made"}
    worker.verdict = lambda lease: worker.make(lease, 2, usage=tokens, error=missing)

    first, last = await seen(door, n=3)

    assert first.data["usage"] is None
    assert last.data["usage"]["total_tokens"] == 12
    assert last.data["usage"]["input_tokens_details"]["text_tokens"] == 10
    assert last.data["warnings"] == [{"param": None, **missing}]


async def test_failure_behind_the_headers_is_an_event(
    restless: FrontDoor, redis: Redis
):
    has_begun = asyncio.Event()

    async def fail(lease):
        await has_begun.wait()
        return await failing("content_policy")(lease)

    async with (
        FakeWorker(redis, restless.images) as worker,
        aiohttp.ClientSession() as http,
    ):
        worker.verdict = fail
        async with http.post(restless.url + ROUTE, json=ASK, headers=KEY) as response:
            has_begun.set()
            came = [event async for event in events(response.content)]

    assert response.status == 200
    *comments, event = came
    assert {comment.name for comment in comments} == {""}
    assert event.name == "error"
    assert event.data["error"]["code"] == "content_policy"
    assert event.data["error"]["type"] == "invalid_request_error"
    assert event.data["request_id"].startswith("req_")


async def test_failure_before_there_was_anything_to_tell_is_a_status(
    door: FrontDoor, worker: FakeWorker
):
    worker.verdict = failing("content_policy")

    answer = await door.post(ROUTE, ASK)

    assert (answer.status, answer.code) == (400, "content_policy")
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["x-job-id"].startswith("job_")


async def test_images_that_cannot_be_read_are_a_status(
    door: FrontDoor, worker: FakeWorker
):
    async def lost(lease):
        made = await worker.succeed(lease)
        await door.images.delete(made.images[0].key)
        return made

    worker.verdict = lost

    answer = await door.post(ROUTE, ASK)

    assert (answer.status, answer.code) == (503, "store_unavailable")


async def test_second_image_that_cannot_be_read_is_an_event(
    door: FrontDoor, worker: FakeWorker
):
    async def lost(lease):
        made = await worker.make(lease, 2)
        await door.images.delete(made.images[1].key)
        return made

    worker.verdict = lost

    first, event = await seen(door, n=2)

    assert first.name == "image_generation.completed"
    assert event.data["error"]["code"] == "store_unavailable"


async def test_refusal_before_the_headers_is_a_status(door: FrontDoor):
    unknown = await door.post(ROUTE, {**ASK, "model": "no/such"})
    hasty = await door.post(ROUTE, {**ASK, "async": True})
    deaf = await door.post(ROUTE, {**ASK, "stream": False, "partial_images": 1})
    greedy = await door.post(ROUTE, {**ASK, "partial_images": 4})

    assert (unknown.status, unknown.code) == (404, "unknown_model")
    assert (hasty.status, hasty.code) == (400, "incompatible_options")
    assert (deaf.status, deaf.code) == (400, "incompatible_options")
    assert (greedy.status, greedy.code) == (400, "out_of_range")


async def test_retry_of_an_sdk_waits_for_the_same_job(
    restless: FrontDoor, redis: Redis
):
    headers = {**KEY, "x-stainless-retry-count": "0"}
    url = restless.url + ROUTE
    async with (
        FakeWorker(redis, restless.images) as worker,
        aiohttp.ClientSession() as http,
    ):
        worker.verdict = never
        async with http.post(url, json=ASK, headers=headers) as cut:
            first = cut.headers["x-job-id"]
        headers["x-stainless-retry-count"] = "1"
        async with http.post(url, json=ASK, headers=headers) as again:
            second = again.headers["x-job-id"]

        assert first == second
        assert len(worker.seen) == 1


async def test_caller_who_hangs_up_is_let_go_at_once(restless: FrontDoor, redis: Redis):
    front = restless.door.front
    async with (
        FakeWorker(redis, restless.images) as worker,
        aiohttp.ClientSession() as http,
    ):
        worker.verdict = never
        async with http.post(restless.url + ROUTE, json=ASK, headers=KEY) as response:
            assert response.status == 200
            waiting = front.waiters.count
            response.close()
            await until(lambda: front.waiters.count == 0, within_s=1)

    assert waiting == 1
    [job] = (await restless.get("/v1/jobs")).body["data"]
    assert job["status"] == "running"


async def test_caller_who_hangs_up_before_the_headers_is_let_go_too(
    door: FrontDoor, worker: FakeWorker
):
    worker.verdict = never
    asking = asyncio.create_task(seen(door))
    await until(lambda: worker.seen, within_s=5)

    asking.cancel()

    await until(lambda: door.door.front.waiters.count == 0, within_s=1)
    [job] = (await door.get("/v1/jobs")).body["data"]
    assert job["status"] == "running"


async def test_comments_keep_the_connection_through_an_outage(
    valkey: Valkey, tmp_path: Path
):
    redis = Redis.from_url(valkey.url)
    async with (
        front_door(valkey.url, tmp_path, heartbeat_s=0.2) as door,
        FakeWorker(redis, door.images) as worker,
        aiohttp.ClientSession() as http,
    ):
        let = worker.hold()
        post = http.post(door.url + ROUTE, json=ASK, headers=KEY)
        async with post as response:
            coming = events(response.content)
            await anext(coming)
            valkey.freeze()
            during = [await anext(coming) for _ in range(20)]
            valkey.thaw()
            let.set()
            after = [event async for event in coming if event.name]
    await redis.aclose()

    assert {event.name for event in during} == {""}
    assert [event.name for event in after] == ["image_generation.completed"]


async def test_door_that_closes_leaves_streams_as_long_as_other_calls(
    shared_valkey: Valkey, redis: Redis, tmp_path: Path
):
    async with (
        front_door(shared_valkey.url, tmp_path, sync_wait_s=0.3) as door,
        FakeWorker(redis, door.images) as worker,
    ):
        worker.verdict = never
        streaming = asyncio.create_task(door.post(ROUTE, ASK))
        await until(lambda: worker.seen, within_s=5)

        async with asyncio.timeout(5):
            await door.door.drain(hurry=asyncio.Event())

        answer = await streaming
    assert (answer.status, answer.code) == (504, "still_running")


async def test_caller_who_takes_nothing_is_cut_off(
    shared_valkey: Valkey, redis: Redis, tmp_path: Path
):
    async def large(lease):
        made = await worker.succeed(lease)
        await door.images.put(
            made.images[0].key, os.urandom(16 << 20), content_type="image/png"
        )
        return made

    limits = Limits(write_s=0.3)
    async with (
        front_door(shared_valkey.url, tmp_path, limits=limits) as door,
        FakeWorker(redis, door.images) as worker,
        aiohttp.ClientSession(read_bufsize=1024) as http,
    ):
        worker.verdict = large
        async with http.post(door.url + ROUTE, json=ASK, headers=KEY) as response:
            await until(lambda: worker.seen, within_s=5)
            await until(lambda: door.door.front.waiters.count == 0, within_s=5)
            async with asyncio.timeout(5):
                await door.door.drain(hurry=asyncio.Event())
            with pytest.raises(aiohttp.ClientError):
                await response.read()
