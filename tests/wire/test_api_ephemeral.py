"""`b64_ephemeral`: the images in the answer, and nothing of them anywhere behind it."""

import asyncio
import base64
from collections.abc import AsyncIterator

import aiohttp
import pytest
from redis.asyncio import Redis

from service.image_store.local import media_type
from service.job_store import keys
from tests.fakes.door import FrontDoor
from tests.fakes.pictures import draw
from tests.fakes.studio import studio
from tests.fakes.worker import FakeWorker, failing

ROUTES = ["/v1/images/generations", "/v1/openai/images/generations"]
SECRET_WORDS = "zanzibar-marmalade"
ASK = {
    "model": "test/test",
    "prompt": SECRET_WORDS,
    "response_format": "b64_ephemeral",
    "user": f"user-{SECRET_WORDS}",
    "negative_prompt": f"no {SECRET_WORDS}",
}


async def everything(redis: Redis) -> AsyncIterator[bytes]:
    """All that Redis keeps: names of keys, fields and values."""
    async for key in redis.scan_iter():
        yield key
        match await redis.type(key):
            case b"string":
                yield await redis.get(key)
            case b"hash":
                for pair in (await redis.hgetall(key)).items():
                    yield b"=".join(pair)
            case b"zset":
                for member in await redis.zrange(key, 0, -1):
                    yield member
            case b"list":
                for member in await redis.lrange(key, 0, -1):
                    yield member
            case b"stream":
                for _, fields in await redis.xrange(key):
                    for pair in fields.items():
                        yield b"=".join(pair)
            case other:
                raise AssertionError(other)


async def behind(door: FrontDoor) -> None:
    """Wait until the last answer's connection is free: what comes behind it is done."""
    assert (await door.get("/healthz")).status == 200


async def left(redis: Redis) -> list[bytes]:
    return [item async for item in everything(redis) if SECRET_WORDS.encode() in item]


@pytest.mark.parametrize("route", ROUTES)
async def test_images_come_inline_and_nothing_is_left(
    door: FrontDoor, redis: Redis, capsys: pytest.CaptureFixture[str], route: str
):
    async with studio(door.settings):
        answer = await door.post(route, {**ASK, "n": 2})
        await behind(door)

    images = [base64.b64decode(item["b64_json"]) for item in answer.body["data"]]
    assert {media_type(image) for image in images} <= {"image/png", "image/webp"}
    assert len(set(images)) == 2
    assert await door.images.list("jobs/") == []
    assert await left(redis) == []
    assert SECRET_WORDS not in capsys.readouterr().out


async def test_nothing_is_left_behind_a_stream(door: FrontDoor, redis: Redis):
    async with studio(door.settings):
        answer = await door.post(
            ROUTES[0], {**ASK, "stream": True, "partial_images": 1}
        )
        await behind(door)
        assert answer.raw.count(b"b64_json") == 2
        assert await door.images.list("jobs/") == []
    assert await left(redis) == []


async def test_nothing_is_left_of_an_edit(door: FrontDoor, redis: Redis):
    form = aiohttp.FormData({**ASK, "size": "64x64"})
    photo = draw(SECRET_WORDS, width=64, height=64)
    form.add_field("image[]", photo, filename=f"{SECRET_WORDS}.png")

    async with studio(door.settings):
        answer = await door.call("POST", "/v1/images/edits", data=form)
        await behind(door)

    assert "b64_json" in answer.body["data"][0]
    assert await door.images.list("jobs/") == []
    assert await left(redis) == []


async def test_nothing_is_left_of_what_failed(
    door: FrontDoor, redis: Redis, worker: FakeWorker
):
    worker.verdict = failing("content_policy")

    answer = await door.post(ROUTES[0], ASK)
    await behind(door)

    assert answer.code == "content_policy"
    assert await left(redis) == []


async def test_job_tells_its_cost_and_no_more(door: FrontDoor, worker: FakeWorker):
    worker.verdict = lambda lease: worker.make(lease, 1, cost_usd="0.02")

    answer = await door.post(ROUTES[0], ASK)
    await behind(door)

    job = (await door.get(answer.headers["Location"])).body
    assert (job["status"], job["cost"]) == ("succeeded", 0.02)
    assert job["request"]["prompt"] == ""
    assert job["result"]["data"] == []


async def test_images_wait_for_a_retry_while_nobody_has_them(
    door: FrontDoor, worker: FakeWorker
):
    let = worker.hold()
    name = {"Idempotency_Key": "once"}
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await door.post(ROUTES[0], ASK, **name)

    let.set()
    answer = await door.post(ROUTES[0], ASK, **name)
    await behind(door)
    again = await door.post(ROUTES[0], ASK, **name)

    assert "b64_json" in answer.body["data"][0]
    assert (again.status, again.code) == (410, "deleted")
    assert len(worker.seen) == 1


async def test_retry_right_behind_the_delivery_is_told_of_it(
    door: FrontDoor, worker: FakeWorker
):
    name = {"Idempotency_Key": "once"}
    let = worker.hold()
    early = await door.post(ROUTES[0], ASK, Prefer="wait=1", **name)
    let.set()
    await door.get(f"/v1/jobs/{early.body['id']}?wait=5")
    for key in await door.images.list("jobs/"):  # as a purge begins
        await door.images.delete(key)

    again = await door.post(ROUTES[0], ASK, **name)

    assert (again.status, again.code) == (410, "deleted")


async def test_what_nobody_waits_for_cannot_be_ephemeral(door: FrontDoor):
    by_header = await door.post(ROUTES[0], ASK, Prefer="respond-async")
    by_field = await door.post(ROUTES[0], {**ASK, "async": True})

    for refused in (by_header, by_field):
        assert (refused.status, refused.code) == (400, "incompatible_options")
        assert refused.body["error"]["param"] == "response_format"


async def test_late_images_are_left_to_the_sweep(
    door: FrontDoor, redis: Redis, worker: FakeWorker
):
    let = worker.hold()

    answer = await door.post(ROUTES[0], ASK, Prefer="wait=1")
    let.set()
    job = (await door.get(f"/v1/jobs/{answer.body['id']}?wait=5")).body

    assert answer.status == 202
    assert job["status"] == "succeeded"
    assert await redis.zscore(keys.EPHEMERAL, job["id"]) is not None
