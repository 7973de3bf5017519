"""`GET /embed/image:{model}`: images for pages, made once for everybody who looks."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from redis.asyncio import Redis

from service.settings import Outbound
from tests.fakes.door import FrontDoor, front_door
from tests.fakes.embeds import EMBED, ROUTE, jobs_in, look
from tests.fakes.picture_host import PictureHost
from tests.fakes.valkey import Valkey
from tests.fakes.worker import FakeWorker


async def test_page_gets_the_image_itself(
    door: FrontDoor, worker: FakeWorker, embed_secret: str
):
    answer = await look(door, embed_secret, "a+blue%20cube")

    assert (answer.status, answer.headers["X-Cache"]) == (200, "MISS")
    assert answer.headers["Content-Type"] == "image/png"
    assert answer.headers["Content-Length"] == str(len(answer.raw))
    assert answer.headers["ETag"] == f'"{hashlib.sha256(answer.raw).hexdigest()}"'
    assert answer.headers["Cache-Control"] == "private, max-age=31536000, immutable"
    assert answer.headers["Vary"] == "Authorization, X-API-Key"
    assert answer.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert worker.seen[0].request.prompt == "a blue cube"


async def test_image_is_made_once_however_its_prompt_is_spelled(
    door: FrontDoor, worker: FakeWorker, embed_secret: str, redis: Redis
):
    first = await look(door, embed_secret, "caf%C3%A9+au+lait")

    again = await look(door, embed_secret, "%20cafe%CC%81%0A+au%20lait")

    assert (again.status, again.headers["X-Cache"]) == (200, "HIT")
    assert again.raw == first.raw
    assert "Idempotent-Replayed" not in again.headers
    assert await jobs_in(redis) == 1


async def test_only_what_is_made_costs_quota(door: FrontDoor, worker: FakeWorker):
    _, secret = await door.knows("default", scopes=EMBED, quota_units=5000)

    answers = [await look(door, secret, p) for p in ("a", "a", "a", "b", "a")]

    assert [answer.status for answer in answers] == [200, 200, 200, 429, 200]
    assert answers[3].code == "quota_exceeded"
    assert "Retry-After" in answers[3].headers


async def test_only_what_is_made_counts_against_the_rate(
    door: FrontDoor, worker: FakeWorker
):
    _, secret = await door.knows("default", scopes=EMBED, requests_per_minute=1)

    answers = [await look(door, secret, p) for p in ("a", "a", "b", "a")]

    assert [answer.status for answer in answers] == [200, 200, 429, 200]


async def test_slash_in_a_model_may_be_escaped(
    door: FrontDoor, worker: FakeWorker, embed_secret: str
):
    path = f"/embed/image%3Atest%2Ftest?key={embed_secret}&prompt=a"

    answer = await door.call("GET", path, secret=None, encoded=True)

    assert answer.status == 200


async def test_looking_ahead_makes_nothing(
    door: FrontDoor, worker: FakeWorker, embed_secret: str, redis: Redis
):
    url = f"{ROUTE}?key={embed_secret}&prompt=a"

    head = await door.call("HEAD", url, secret=None)
    ahead = [
        await look(door, embed_secret, "a", Sec_Purpose="prefetch;prerender"),
        await look(door, embed_secret, "a", Purpose="prefetch"),
        await look(door, embed_secret, "a", X_Purpose="preview"),
    ]

    assert (head.status, head.raw) == (404, b"")
    assert {(answer.status, answer.code) for answer in ahead} == {(404, "not_cached")}
    assert await jobs_in(redis) == 0


async def test_readers_at_two_front_doors_share_one_call(
    door: FrontDoor,
    worker: FakeWorker,
    embed_secret: str,
    shared_valkey: Valkey,
    tmp_path: Path,
):
    async with front_door(shared_valkey.url, tmp_path) as second:
        looks = [look(d, embed_secret) for d in (door, second) for _ in range(20)]
        answers = await asyncio.gather(*looks)

    caches = [answer.headers["X-Cache"] for answer in answers]
    assert {answer.status for answer in answers} == {200}
    assert len({answer.raw for answer in answers}) == 1
    assert (caches.count("MISS"), caches.count("HIT")) == (1, 39)
    assert len(worker.seen) == 1


async def test_reader_who_leaves_takes_nothing_from_the_others(
    door: FrontDoor, worker: FakeWorker, embed_secret: str
):
    told = asyncio.Event()

    async def slow(lease):
        await told.wait()
        return await worker.succeed(lease)

    worker.verdict = slow
    path = f"GET {ROUTE}?key={embed_secret}&prompt=a+fox HTTP/1.1\r\nHost: x\r\n\r\n"
    _, leaving = await asyncio.open_connection("127.0.0.1", door.port)
    leaving.write(path.encode())
    while not worker.seen:
        await asyncio.sleep(0.01)
    staying = asyncio.create_task(look(door, embed_secret))
    leaving.transport.abort()
    while not door.door.front.waiters.count:
        await asyncio.sleep(0.01)

    told.set()

    answer = await staying
    assert (answer.status, answer.headers["X-Cache"]) == (200, "HIT")
    assert len(worker.seen) == 1


@pytest.fixture
async def open_door(
    shared_valkey: Valkey, redis: Redis, tmp_path: Path
) -> AsyncIterator[FrontDoor]:
    """A front door that follows links to this machine."""
    rules = Outbound(allowed_networks=["127.0.0.0/8"], allow_http=True)
    async with front_door(shared_valkey.url, tmp_path, outbound=rules) as door:
        yield door


@pytest.fixture
async def host() -> AsyncIterator[PictureHost]:
    """Somebody else's images."""
    async with PictureHost() as running:
        yield running


async def test_references_are_what_the_image_starts_from(
    open_door: FrontDoor, redis: Redis, host: PictureHost
):
    one, two = f"{host.url}/fox.png", f"{host.url}/away?to=/fox.png"
    path = f"{ROUTE}?prompt=a&references="
    async with FakeWorker(redis, open_door.images) as worker:
        first = await open_door.get(f"{path}{one},{two}")
        again = await open_door.get(f"{path}{two},{one}")

    request = worker.seen[0].request
    assert (first.status, first.headers["X-Cache"]) == (200, "MISS")
    assert (again.status, again.headers["X-Cache"]) == (200, "HIT")
    assert (request.operation, len(request.images)) == ("edit", 2)
    assert sorted(host.seen) == ["away", "fox.png", "fox.png"]


async def test_reference_that_cannot_be_had_makes_nothing(
    open_door: FrontDoor, redis: Redis, host: PictureHost
):
    answer = await open_door.get(f"{ROUTE}?prompt=a&references={host.url}/404")

    assert (answer.status, answer.code) == (422, "reference_unreachable")
    assert await jobs_in(redis) == 0
