"""Images that are there already: described, compared and served in part."""

import pytest

from tests.fakes.door import FrontDoor
from tests.fakes.embeds import ROUTE, look
from tests.fakes.worker import FakeWorker


async def test_head_of_a_cached_image_describes_it(
    door: FrontDoor, worker: FakeWorker, embed_secret: str
):
    whole = await look(door, embed_secret, "a")

    head = await door.call("HEAD", f"{ROUTE}?key={embed_secret}&prompt=a", secret=None)

    assert (head.status, head.raw, head.headers["X-Cache"]) == (200, b"", "HIT")
    for name in ("Content-Type", "Content-Length", "ETag", "Cache-Control"):
        assert head.headers[name] == whole.headers[name]


@pytest.mark.parametrize(
    ("condition", "status"),
    [
        ("{tag}", 304),
        ("W/{tag}", 304),
        ('"other", {tag}', 304),
        ("*", 304),
        ('"other"', 200),
        ("garbage", 200),
        ('"', 200),
    ],
)
async def test_who_has_the_image_is_told_so(
    door: FrontDoor, worker: FakeWorker, embed_secret: str, condition: str, status: int
):
    tag = (await look(door, embed_secret)).headers["ETag"]

    again = await look(door, embed_secret, If_None_Match=condition.format(tag=tag))

    assert again.status == status
    assert (again.headers["ETag"], again.headers["X-Cache"]) == (tag, "HIT")
    assert (again.raw == b"") == (status == 304)


@pytest.mark.parametrize(
    ("asked", "start", "stop"),
    [
        ("bytes=0-9", 0, 10),
        ("bytes=10-", 10, None),
        ("bytes=-7", -7, None),
        ("bytes=5-999999", 5, None),
        ("bytes=-999999", 0, None),
    ],
)
async def test_part_of_an_image_is_served(
    door: FrontDoor,
    worker: FakeWorker,
    embed_secret: str,
    asked: str,
    start: int,
    stop: int,
):
    whole = (await look(door, embed_secret)).raw

    part = await look(door, embed_secret, Range=asked)

    first = start % len(whole)
    shown = f"bytes {first}-{first + len(part.raw) - 1}/{len(whole)}"
    assert (part.status, part.raw) == (206, whole[start:stop])
    assert part.headers["Content-Range"] == shown


@pytest.mark.parametrize(
    "asked", ["bytes=0-1,3-4", "bytes=9-2", "bytes=-", "bytes=a-b", "lines=1-2", ""]
)
async def test_range_that_cannot_be_served_gets_the_whole(
    door: FrontDoor, worker: FakeWorker, embed_secret: str, asked: str
):
    whole = await look(door, embed_secret)

    answer = await look(door, embed_secret, Range=asked)

    assert (answer.status, answer.raw) == (200, whole.raw)


async def test_range_behind_the_end_is_refused(
    door: FrontDoor, worker: FakeWorker, embed_secret: str
):
    size = len((await look(door, embed_secret)).raw)

    answer = await look(door, embed_secret, Range=f"bytes={size}-")

    assert (answer.status, answer.code) == (416, "range_not_satisfiable")
    assert answer.headers["Content-Range"] == f"bytes */{size}"


async def test_part_of_an_image_that_has_changed_is_not_served(
    door: FrontDoor, worker: FakeWorker, embed_secret: str
):
    tag = (await look(door, embed_secret)).headers["ETag"]

    same = await look(door, embed_secret, Range="bytes=0-9", If_Range=tag)
    other = await look(door, embed_secret, Range="bytes=0-9", If_Range='"other"')

    assert (same.status, other.status) == (206, 200)
