"""Image bytes: lasting links and signed URLs."""

import asyncio
import hashlib
import time

from service.settings import Storage
from tests.fakes.door import FrontDoor, front_door
from tests.fakes.worker import FakeWorker

ROUTE = "/v1/images/generations"
ASK = {"model": "test/test", "prompt": "a fox"}


async def test_lasting_link_serves_the_bytes(door: FrontDoor, worker: FakeWorker):
    job = (await door.post(ROUTE, ASK)).headers["x-job-id"]
    path = f"/v1/jobs/{job}/images/0"

    image = await door.get(path)
    again = await door.get(path, If_None_Match=image.headers["ETag"])
    beyond = [await door.get(f"/v1/jobs/{job}/images/{n}") for n in ("1", "-1", "00")]

    assert image.status == 200
    assert image.headers["Content-Type"] == "image/png"
    assert image.headers["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in image.headers["Content-Security-Policy"]
    assert (again.status, again.raw) == (304, b"")
    assert {(a.status, a.code) for a in beyond} == {(404, "not_found")}


async def test_lasting_link_redirects_to_a_fresh_url_of_a_bucket(
    shared_valkey, redis, tmp_path, moto
):
    storage = moto.settings(bucket=moto.make_bucket()).storage
    async with (
        front_door(shared_valkey.url, tmp_path, storage=storage) as door,
        FakeWorker(redis, door.images),
    ):
        done = await door.post(ROUTE, ASK)
        job = done.headers["x-job-id"]

        link = await door.get(f"/v1/jobs/{job}/images/0")
        image = await door.get(link.headers["Location"], secret=None)

    assert link.status == 302
    assert link.headers["Cache-Control"] == "no-store"
    digest = hashlib.sha256(image.raw).hexdigest()
    assert digest == done.body["data"][0]["sha256"]


async def test_signed_url_is_good_for_its_own_image_and_time_only(
    shared_valkey, redis, tmp_path
):
    storage = Storage(url_lifetime_s=1)
    async with (
        front_door(shared_valkey.url, tmp_path, storage=storage) as door,
        FakeWorker(redis, door.images),
    ):
        done = (await door.post(ROUTE, {**ASK, "n": 2})).body
        url, other = (image["url"] for image in done["data"])

        fresh = await door.get(url, secret=None)
        changed = [
            await door.get(wrong, secret=None)
            for wrong in (
                url.split("?")[0],
                f"{url}&x=1",
                url.split("?")[0] + "?" + other.split("?")[1],
                url.replace("exp=", "exp=0"),
                url.replace("exp=", "exp=-"),
                url[:-1] + ("A" if url[-1] != "A" else "B"),
            )
        ]
        await asyncio.sleep(done["data"][0]["url_expires_at"] - time.time() + 0.05)
        stale = await door.get(url, secret=None)

    assert fresh.headers["Content-Type"] == "image/png"
    assert fresh.headers["X-Content-Type-Options"] == "nosniff"
    assert fresh.headers["Cache-Control"] in {
        "private, max-age=0",
        "private, max-age=1",
        "private, max-age=2",
    }
    assert {(a.status, a.code) for a in changed} == {(403, "invalid_signature")}
    assert (stale.status, stale.code) == (403, "url_expired")


async def test_signed_url_has_conditions_and_ranges(
    door: FrontDoor, worker: FakeWorker
):
    url = (await door.post(ROUTE, ASK)).body["data"][0]["url"]

    whole = await door.get(url, secret=None)
    tag = whole.headers["ETag"]
    head = await door.call("HEAD", url, secret=None)
    again = await door.get(url, secret=None, If_None_Match=tag)
    part = await door.get(url, secret=None, Range="bytes=4-9", If_Range=tag)
    beyond = await door.get(url, secret=None, Range="bytes=999999-")

    assert whole.headers["Accept-Ranges"] == "bytes"
    for name in ("ETag", "Content-Type", "Content-Length", "X-Content-Type-Options"):
        assert head.headers[name] == whole.headers[name]
    assert (again.status, again.raw) == (304, b"")
    assert (part.status, part.raw) == (206, whole.raw[4:10])
    assert (beyond.status, beyond.code) == (416, "range_not_satisfiable")


async def test_signed_url_of_what_is_gone_is_not_found(
    door: FrontDoor, worker: FakeWorker
):
    url = (await door.post(ROUTE, ASK)).body["data"][0]["url"]
    for key in await door.images.list("jobs/"):
        await door.images.delete(key)

    looks = [await door.call(m, url, secret=None) for m in ("GET", "HEAD")]

    assert [look.status for look in looks] == [404, 404]
