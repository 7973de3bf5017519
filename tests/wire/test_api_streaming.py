"""Images as events: what a caller sees come, and what ends it."""

import base64
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import aiohttp
import orjson

from service.image_store.local import media_type
from tests.fakes.door import SECRET, FrontDoor
from tests.fakes.studio import studio
from tests.fakes.worker import FakeWorker

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


async def seen(door: FrontDoor, **fields: Any) -> list[Event]:
    async with (
        aiohttp.ClientSession() as http,
        http.post(door.url + ROUTE, json={**ASK, **fields}, headers=KEY) as response,
    ):
        assert response.status == 200
        assert response.headers["Content-Type"] == "text/event-stream"
        assert response.headers["x-job-id"].startswith("job_")
        return [event async for event in events(response.content)]


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
