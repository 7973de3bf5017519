"""Copies of images, narrower or in another format."""

import asyncio
import base64
from collections.abc import Awaitable, Callable
from io import BytesIO

import pytest
from PIL import Image

from service.api.derivatives import Derivatives, Shape
from service.core.errors import JobDeleted
from service.core.jobs import Job
from service.imaging import Imaging
from tests.fakes.door import Answer, FrontDoor, front_door
from tests.fakes.picture_host import PNG
from tests.fakes.worker import FakeWorker

ASK = {"model": "test/test", "prompt": "a fox"}
FOX = f"data:image/png;base64,{base64.b64encode(PNG).decode()}"


@pytest.fixture
async def path(door: FrontDoor, worker: FakeWorker) -> str:
    """Where an image of 200 by 100 pixels is read."""
    worker.size = (200, 100)
    done = await door.post("/v1/images/generations", ASK)
    return f"/v1/jobs/{done.headers['x-job-id']}/images/0"


def facts(data: bytes) -> tuple[str | None, tuple[int, int]]:
    image = Image.open(BytesIO(data))
    return image.format, image.size


@pytest.mark.parametrize(
    ("query", "made"),
    [
        ("width=64", ("PNG", (64, 32))),
        ("width=50", ("PNG", (64, 32))),
        ("width=65", ("PNG", (96, 48))),
        ("format=webp", ("WEBP", (200, 100))),
        ("format=jpg&width=16", ("JPEG", (16, 8))),
        ("format=jpeg&width=4096", ("JPEG", (200, 100))),
    ],
)
async def test_copy_is_as_asked_and_keeps_its_shape(
    door: FrontDoor, path: str, query: str, made: object
):
    copy = await door.get(f"{path}?{query}")

    assert copy.status == 200
    assert facts(copy.raw) == made
    assert copy.headers["x-image-width"] == str(made[1][0])
    assert copy.headers["Content-Type"] == f"image/{made[0].lower()}"
    assert copy.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    "query", ["", "width=200", "width=193", "width=4096", "format=png"]
)
async def test_copy_that_would_be_the_image_is_the_image(
    door: FrontDoor, path: str, query: str
):
    image = await door.get(path)

    copy = await door.get(f"{path}?{query}")

    assert copy.raw == image.raw
    assert copy.headers["ETag"] == image.headers["ETag"]
    assert not [key for key in await door.images.list("jobs/") if "derived" in key]


async def test_copy_has_a_tag_of_its_own_and_is_served_in_parts(
    door: FrontDoor, path: str
):
    image, copy = await door.get(path), await door.get(f"{path}?width=50")
    tag = copy.headers["ETag"]

    again = await door.get(f"{path}?width=50", If_None_Match=tag)
    other = await door.get(f"{path}?width=65", If_None_Match=tag)
    part = await door.get(f"{path}?width=50", Range="bytes=1-3")

    assert tag != image.headers["ETag"]
    assert (again.status, again.raw, other.status) == (304, b"", 200)
    assert (part.status, part.raw) == (206, b"PNG")


@pytest.mark.parametrize(
    ("query", "code", "param"),
    [
        *((f"width={w}", "out_of_range", "width") for w in (0, 15, 4097, 10**9)),
        *((f"width={w}", "out_of_range", "width") for w in ("", "5e1", "050", "%2B50")),
        ("format=gif", "invalid_enum", "format"),
        ("format=", "invalid_enum", "format"),
        ("height=50", "unknown_param", "height"),
        ("width=50&width=50", "duplicate_param", "width"),
    ],
)
async def test_copy_of_no_known_kind_is_refused(
    door: FrontDoor, query: str, code: str, param: str
):
    refused = await door.get(f"/v1/jobs/job_x/images/0?{query}")

    assert (refused.status, refused.code) == (400, code)
    assert refused.body["error"]["param"] == param


async def test_copy_goes_with_its_job(door: FrontDoor, path: str):
    await door.get(f"{path}?width=50")
    before = await door.images.list("jobs/")

    await door.call("DELETE", path.partition("/images")[0])
    gone = await door.get(f"{path}?width=50")

    assert any("derived" in key for key in before)
    assert (gone.status, gone.code) == (410, "deleted")
    assert await door.images.list("jobs/") == []


async def test_bucket_is_asked_for_the_copy_by_a_signed_url(
    shared_valkey, redis, tmp_path, moto
):
    storage = moto.settings(bucket=moto.make_bucket()).storage
    async with (
        front_door(shared_valkey.url, tmp_path, storage=storage) as door,
        FakeWorker(redis, door.images) as worker,
    ):
        worker.size = (64, 64)
        done = await door.post("/v1/images/generations", ASK)
        path = f"/v1/jobs/{done.headers['x-job-id']}/images/0?format=webp&width=32"

        link = await door.get(path)
        copy = await door.get(link.headers["Location"], secret=None)

    assert (link.status, link.headers["Cache-Control"]) == (302, "no-store")
    assert link.headers["x-image-width"] == "32"
    assert facts(copy.raw) == ("WEBP", (32, 32))


async def nothing() -> None:
    pass


class Watched:
    """A store that counts what is put, and lets something happen behind it."""

    def __init__(self, door: FrontDoor) -> None:
        self._images = door.images
        self.get, self.delete = door.images.get, door.images.delete
        self.puts: list[str] = []
        self.behind: Callable[[], Awaitable[None]] = nothing

    async def put(self, key: str, data: bytes, *, content_type: str) -> None:
        self.puts.append(key)
        await self._images.put(key, data, content_type=content_type)
        await self.behind()


async def job_of(door: FrontDoor, path: str) -> Job:
    return await door.door.front.backends.jobs.get(
        path.split("/")[3], account="default"
    )


async def test_copy_is_made_once_however_many_ask(door: FrontDoor, path: str):
    job, store, imaging = await job_of(door, path), Watched(door), Imaging()
    jobs = door.door.front.backends.jobs
    copies, counted = Derivatives(store, imaging, jobs), []
    ask = job, job.images[0], Shape("webp", 64)

    async def count() -> None:
        counted.append(1)

    one, *others = await asyncio.gather(
        *(copies.get(*ask, before=count) for _ in range(20))
    )
    elsewhere = await Derivatives(store, imaging, jobs).get(*ask, before=count)

    assert store.puts == [one.key]
    assert counted == [1]
    assert {*others, elsewhere} == {one}
    assert (one.width, one.height, one.content_type) == (64, 32, "image/webp")
    await imaging.close()


async def test_copy_of_a_job_that_is_deleted_meanwhile_is_not_left_behind(
    door: FrontDoor, path: str
):
    job, store, imaging = await job_of(door, path), Watched(door), Imaging()
    jobs = door.door.front.backends.jobs
    copies = Derivatives(store, imaging, jobs)

    async def forget() -> None:
        await jobs.forget([job.id])

    store.behind = forget
    with pytest.raises(JobDeleted):
        await copies.get(job, job.images[0], Shape("webp", 50), before=nothing)

    assert await door.images.list(f"jobs/{job.id}/{job.fence}/derived/") == []
    await imaging.close()


async def test_copies_that_are_made_count_in_the_rate_and_others_do_not(
    door: FrontDoor, worker: FakeWorker
):
    worker.size = (200, 100)
    _, secret = await door.knows("ada", requests_per_minute=3)
    done = await door.post("/v1/images/generations", ASK, secret=secret)
    path = f"/v1/jobs/{done.headers['x-job-id']}/images/0"

    def ask(query: str) -> Awaitable[Answer]:
        return door.get(f"{path}?{query}", secret=secret)

    made = [await ask("width=64"), await ask("width=96")]
    again = [await ask("width=64"), await ask("width=90"), await ask("width=200")]
    refused = await ask("width=128")

    assert [a.status for a in (*made, *again)] == [200] * 5
    assert made[1].headers["RateLimit-Remaining"] == "0"
    assert (refused.status, refused.code) == (429, "rate_limited")
    assert int(refused.headers["Retry-After"]) >= 1


async def test_an_account_has_few_copies_made_at_once(door: FrontDoor, path: str):
    widths = (16, 32, 48, 64, 96, 128)
    _, secret = await door.knows("ada")
    other = await door.post("/v1/images/generations", ASK, secret=secret)
    theirs = f"/v1/jobs/{other.headers['x-job-id']}/images/0?format=webp"

    *mine, foreign = await asyncio.gather(
        *(door.get(f"{path}?format=webp&width={width}") for width in widths),
        door.get(theirs, secret=secret),
    )
    later = await door.get(f"{path}?format=webp&width=128")

    refused = [a for a in mine if a.status == 429]
    assert [a.code for a in refused] == ["rate_limited"] * 2
    assert refused[0].headers["Retry-After"] == "1"
    assert (foreign.status, later.status) == (200, 200)


async def test_copies_keep_no_edit_waiting(shared_valkey, redis, tmp_path):
    async with (
        front_door(
            shared_valkey.url, tmp_path, worker={"imaging_processes": 1}
        ) as door,
        FakeWorker(redis, door.images) as worker,
    ):
        worker.size = (3000, 3000)
        done = await door.post("/v1/images/generations", ASK)
        path = f"/v1/jobs/{done.headers['x-job-id']}/images/0?format=webp"
        copies = [
            asyncio.create_task(door.get(f"{path}&width={width}"))
            for width in (1792, 2048, 2560, 3072)
        ]
        await asyncio.wait(copies, return_when=asyncio.FIRST_COMPLETED)

        edit = await door.post("/v1/jobs", {**ASK, "image": FOX})
        under_way = [copy for copy in copies if not copy.done()]
        made = await asyncio.gather(*copies)

    assert edit.status == 202, edit.raw
    assert under_way
    assert [copy.status for copy in made] == [200] * 4
