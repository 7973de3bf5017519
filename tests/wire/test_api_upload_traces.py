"""What uploads leave behind: nothing, unless a job has been made of them."""

import asyncio
from io import BytesIO
from pathlib import Path

import pytest

from service.job_store import keys
from tests.fakes.door import SECRET, FrontDoor, front_door
from tests.fakes.forms import BOUNDARY, TYPE, Part, form, picture
from tests.fakes.images import encoded, noise
from tests.fakes.valkey import Valkey

EDIT = {"model": "test/test", "prompt": "a hat", "operation": "edit"}
PNG = encoded(noise(64, 48), "PNG")
LARGE = PNG + bytes(3 << 20)
FILES = Path("/proc/self/fd")
LINUX = pytest.mark.skipif(not FILES.exists(), reason="looks into /proc")


def nameless_files() -> set[str]:
    links = {str(file.readlink()) for file in FILES.iterdir() if file.is_symlink()}
    return {link for link in links if link.endswith("(deleted)")}


OTHERS = nameless_files() if FILES.exists() else set()
"""Those of pytest, which captures output in such files."""


def spools() -> set[str]:
    return nameless_files() - OTHERS


async def post(door: FrontDoor, *parts: Part, **headers: str):
    body = form(*(parts or (picture("image", PNG),)), **EDIT)
    return await door.post(
        "/v1/jobs", data=BytesIO(body), **{"Content_Type": TYPE, **headers}
    )


async def inputs(door: FrontDoor) -> list[str]:
    return await door.images.list("jobs/")


async def test_an_equal_form_with_another_boundary_joins(door):
    first = await post(door, Idempotency_Key="once")

    body = form(picture("image", PNG), **EDIT).replace(BOUNDARY.encode(), b"other")
    again = await door.post(
        "/v1/jobs",
        data=body,
        Content_Type="multipart/form-data; boundary=other",
        Idempotency_Key="once",
    )

    assert again.body["id"] == first.body["id"]
    assert again.headers["Idempotent-Replayed"] == "true"
    assert await inputs(door) == [f"jobs/{first.body['id']}/inputs/0"]


@pytest.mark.parametrize(
    "parts",
    [
        [picture("image", encoded(noise(64, 49), "PNG"))],
        [picture("image", PNG + b"\x00")],
        [picture("image", PNG)] * 2,
        [picture("image", PNG), picture("mask", encoded(noise(64, 48, "RGBA"), "PNG"))],
    ],
    ids=["image", "byte", "count", "mask"],
)
async def test_the_same_name_for_other_images_is_refused(door, parts):
    first = await post(door, Idempotency_Key="once")

    other = await post(door, *parts, Idempotency_Key="once")

    assert (other.status, other.code) == (422, "idempotency_mismatch")
    assert await inputs(door) == [f"jobs/{first.body['id']}/inputs/0"]


async def test_equal_forms_at_once_make_one_job_with_one_set_of_images(door, redis):
    answers = await asyncio.gather(
        *(post(door, Idempotency_Key="once") for _ in range(20))
    )

    assert {answer.status for answer in answers} == {202}
    [job_id] = {answer.body["id"] for answer in answers}
    assert await inputs(door) == [f"jobs/{job_id}/inputs/0"]
    assert [key async for key in redis.scan_iter("darkroom:job:*")] == [
        keys.job(job_id).encode()
    ]


@pytest.mark.parametrize(
    ("grant", "code"),
    [({"quota_units": 1}, "quota_exceeded"), ({"queued_jobs": 1}, "queue_full")],
)
async def test_a_key_that_may_not_leaves_nothing(door, grant, code):
    _, secret = await door.knows("ada", **grant)
    await door.post("/v1/jobs", {"model": "test/test", "prompt": "a"}, secret=secret)

    answer = await post(door, Authorization=f"Bearer {secret}")

    assert (answer.status, answer.code) == (429, code)
    assert await inputs(door) == []


async def test_a_store_that_is_away_is_said_so(shared_valkey, redis, tmp_path):
    async with front_door(shared_valkey.url, tmp_path) as door:
        (tmp_path / "images" / "jobs").write_bytes(b"in the way")

        answer = await post(door)

    assert (answer.status, answer.code) == (503, "store_unavailable")
    assert "Retry-After" in answer.headers
    assert not [key async for key in redis.scan_iter("darkroom:job:*")]


async def test_without_redis_nothing_is_stored(valkey: Valkey, tmp_path: Path):
    async with front_door(valkey.url, tmp_path) as door:
        await door.post("/v1/jobs", {"model": "test/test", "prompt": "a"})
        valkey.kill()

        answer = await post(door)

        assert (answer.status, answer.code) == (503, "queue_unavailable")
        assert await inputs(door) == []


@LINUX
@pytest.mark.parametrize(
    "parts",
    [
        [picture("image", LARGE)],
        [picture("image", LARGE), picture("image", b"<html>")],
        [picture("image", LARGE), picture("image", b"")],
        [picture("image", LARGE), Part("prompt", "again")],
        [picture("image", LARGE), Part("n", "two")],
    ],
    ids=["fine", "html", "empty", "twice", "wrong"],
)
async def test_no_file_stays_open_behind_an_answer(door, parts):
    await post(door, *parts)

    assert not spools()


@LINUX
async def test_no_file_stays_open_while_images_are_waited_for(door, redis):
    body = form(picture("image", LARGE), **EDIT)
    waiting = asyncio.create_task(
        door.post("/v1/openai/images/edits", data=BytesIO(body), Content_Type=TYPE)
    )

    while not [key async for key in redis.scan_iter("darkroom:job:*")]:
        await asyncio.sleep(0.01)

    assert not spools()
    waiting.cancel()


@LINUX
async def test_no_file_stays_open_when_the_caller_hangs_up(door):
    _, writer = await asyncio.open_connection("127.0.0.1", door.port)
    head = (
        f"POST /v1/jobs HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {SECRET}\r\n"
        f"Content-Type: {TYPE}\r\nContent-Length: 10000000\r\n\r\n"
    )
    writer.write(head.encode() + form(picture("image", LARGE), **EDIT)[:-100])
    await writer.drain()
    while not spools():
        await asyncio.sleep(0.01)

    writer.close()

    async with asyncio.timeout(5):
        while spools():
            await asyncio.sleep(0.01)
    assert await inputs(door) == []
