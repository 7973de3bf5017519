"""`GET /embed/image:{model}`: images for pages, made once for everybody who looks."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from redis.asyncio import Redis

from service.accounts import Scope
from service.settings import Outbound
from tests.fakes.door import Answer, FrontDoor, front_door
from tests.fakes.images import encoded, noise
from tests.fakes.valkey import Valkey
from tests.fakes.worker import FakeWorker, failing, never

ROUTE = "/embed/image:test/test"
EMBED, GENERATE = frozenset({Scope.EMBED}), frozenset({Scope.GENERATE})


@pytest.fixture
async def secret(door: FrontDoor) -> str:
    """A key that may stand in a page, and nowhere else."""
    _, secret = await door.knows("default", scopes=EMBED)
    return secret


async def look(
    door: FrontDoor, secret: str, prompt: str = "a+fox", **headers
) -> Answer:
    """Open a link as a browser does."""
    url = f"{ROUTE}?key={secret}&prompt={prompt}"
    return await door.get(url, secret=None, **headers)


async def jobs_in(redis: Redis) -> int:
    return len([key async for key in redis.scan_iter("darkroom:job:*")])


async def test_page_gets_the_image_itself(
    door: FrontDoor, worker: FakeWorker, secret: str
):
    answer = await look(door, secret, "a+blue%20cube")

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
    door: FrontDoor, worker: FakeWorker, secret: str, redis: Redis
):
    first = await look(door, secret, "caf%C3%A9+au+lait")

    again = await look(door, secret, "%20cafe%CC%81%0A+au%20lait")

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


@pytest.mark.parametrize(
    ("model", "status", "code"),
    [
        ("openai/dall-e-2", 400, "model_not_embeddable"),
        ("no-such-model", 400, "model_not_embeddable"),
        ("../admin", 404, "unknown_model"),
        ("%2e%2e", 404, "unknown_model"),
        ("te%00st", 404, "unknown_model"),
        ("x" * 5000, 404, "unknown_model"),
    ],
)
async def test_only_models_that_are_enabled_for_it_are_shown(
    door: FrontDoor, secret: str, redis: Redis, model: str, status: int, code: str
):
    path = f"/embed/image:{model}?key={secret}&prompt=a"

    answer = await door.call("GET", path, secret=None, encoded=True)

    assert (answer.status, answer.code) == (status, code)
    assert answer.headers["Cache-Control"] == "no-store"
    assert await jobs_in(redis) == 0


async def test_slash_in_a_model_may_be_escaped(
    door: FrontDoor, worker: FakeWorker, secret: str
):
    path = f"/embed/image%3Atest%2Ftest?key={secret}&prompt=a"

    answer = await door.call("GET", path, secret=None, encoded=True)

    assert answer.status == 200


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ("", 400, "missing_field"),
        ("prompt=", 400, "missing_field"),
        ("prompt=+%E2%80%8B", 400, "empty_prompt"),
        ("prompt=%01", 400, "invalid_text"),
        ("prompt=%ff", 400, "invalid_encoding"),
        ("prompt=%zz", 400, "invalid_encoding"),
        ("prompt=100%", 400, "invalid_encoding"),
        ("prompt=%00", 400, "invalid_encoding"),
        ("prompt=%ed%a0%80", 400, "invalid_encoding"),
        ("prompt=a&prompt=b", 400, "duplicate_param"),
        ("prompt[]=a", 400, "duplicate_param"),
        ("prompt%5B%5D=a", 400, "duplicate_param"),
        ("prompt=a&utm_x=1", 400, "unknown_param"),
        ("prompt=a&Prompt=b", 400, "unknown_param"),
        ("prompt=a&references=", 400, "invalid_url"),
        ("prompt=a&references=,,", 400, "invalid_url"),
        ("prompt=a&references=https://x/1,https://x/1", 400, "invalid_url"),
        ("prompt=a&references=data:image/png;base64,AAAA", 400, "invalid_url"),
        ("prompt=a&references=ftp://x/1", 400, "invalid_url"),
        (
            "prompt=a&references=" + ",".join(f"https://x/{i}" for i in range(17)),
            400,
            "too_many_references",
        ),
        ("prompt=" + "x" * 7168, 400, "uri_too_long"),
        ("prompt=" + "x" * 9000, 400, "uri_too_long"),
        ("prompt=a&sig=abc", 400, "ambiguous_auth"),
    ],
)
async def test_query_is_read_strictly_and_never_said_again(
    door: FrontDoor, secret: str, redis: Redis, query: str, status: int, code: str
):
    path = f"{ROUTE}?key={secret}&{query}"

    answer = await door.call("GET", path, secret=None, encoded=True)

    assert (answer.status, answer.code) == (status, code)
    assert secret.encode() not in answer.raw
    assert b"utm_x" not in answer.raw
    assert await jobs_in(redis) == 0


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "TRACE"])
async def test_image_can_only_be_read(door: FrontDoor, secret: str, method: str):
    url = f"{ROUTE}?key={secret}&prompt=a"

    answer = await door.call(method, url, secret=None)

    assert (answer.status, answer.code) == (405, "method_not_allowed")
    assert answer.headers["Allow"] == "GET,HEAD"


async def test_key_may_come_in_a_header_as_well(door: FrontDoor, worker: FakeWorker):
    _, secret = await door.knows("default", scopes=GENERATE)

    answer = await door.get(f"{ROUTE}?prompt=a", secret=secret)

    assert answer.status == 200


@pytest.mark.parametrize(
    ("scopes", "place", "status", "code"),
    [
        (GENERATE, "query", 400, "key_not_for_urls"),
        ({Scope.ADMIN}, "query", 400, "key_not_for_urls"),
        ({Scope.ADMIN}, "header", 403, "key_scope"),
        (EMBED, "both", 400, "ambiguous_auth"),
        (EMBED, "none", 401, "missing_key"),
    ],
)
async def test_key_must_be_made_for_the_place_it_stands_in(
    door: FrontDoor,
    redis: Redis,
    scopes: set[Scope],
    place: str,
    status: int,
    code: str,
):
    _, secret = await door.knows("default", scopes=frozenset(scopes))
    in_query, in_header = place in {"query", "both"}, place in {"header", "both"}

    answer = await door.get(
        f"{ROUTE}?prompt=a" + (f"&key={secret}" if in_query else ""),
        secret=secret if in_header else None,
    )

    assert (answer.status, answer.code) == (status, code)
    assert await jobs_in(redis) == 0


async def test_key_for_pages_makes_no_images_elsewhere(door: FrontDoor, secret: str):
    ask = {"model": "test/test", "prompt": "a"}

    answer = await door.post("/v1/images/generations", ask, secret=secret)

    assert (answer.status, answer.code) == (403, "key_scope")


async def test_key_that_is_none_or_was_revoked_opens_nothing(door: FrontDoor):
    key, secret = await door.knows("default", scopes=EMBED)
    await door.accounts.revoke(key.id)

    unknown = await look(door, "sk_nobody")
    revoked = await look(door, secret)

    assert (unknown.status, unknown.code) == (401, "invalid_key")
    assert (revoked.status, revoked.code) == (401, "key_revoked")


async def test_key_shows_its_own_models_only_even_from_the_cache(
    door: FrontDoor, worker: FakeWorker, secret: str
):
    await look(door, secret)
    models = frozenset({"openai/dall-e-2"})
    _, other = await door.knows("default", scopes=EMBED, models=models)

    answer = await look(door, other)

    assert (answer.status, answer.code) == (403, "model_not_allowed")


async def test_accounts_share_no_images(
    door: FrontDoor, worker: FakeWorker, secret: str
):
    _, stranger = await door.knows("other", scopes=EMBED)
    await look(door, secret)

    answer = await look(door, stranger)

    assert answer.headers["X-Cache"] == "MISS"


async def test_looking_ahead_makes_nothing(
    door: FrontDoor, worker: FakeWorker, secret: str, redis: Redis
):
    url = f"{ROUTE}?key={secret}&prompt=a"

    head = await door.call("HEAD", url, secret=None)
    ahead = [
        await look(door, secret, "a", Sec_Purpose="prefetch;prerender"),
        await look(door, secret, "a", Purpose="prefetch"),
        await look(door, secret, "a", X_Purpose="preview"),
    ]

    assert (head.status, head.raw) == (404, b"")
    assert {(answer.status, answer.code) for answer in ahead} == {(404, "not_cached")}
    assert await jobs_in(redis) == 0


async def test_head_of_a_cached_image_describes_it(
    door: FrontDoor, worker: FakeWorker, secret: str
):
    whole = await look(door, secret, "a")

    head = await door.call("HEAD", f"{ROUTE}?key={secret}&prompt=a", secret=None)

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
    door: FrontDoor, worker: FakeWorker, secret: str, condition: str, status: int
):
    tag = (await look(door, secret)).headers["ETag"]

    again = await look(door, secret, If_None_Match=condition.format(tag=tag))

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
    door: FrontDoor, worker: FakeWorker, secret: str, asked: str, start: int, stop: int
):
    whole = (await look(door, secret)).raw

    part = await look(door, secret, Range=asked)

    first = start % len(whole)
    shown = f"bytes {first}-{first + len(part.raw) - 1}/{len(whole)}"
    assert (part.status, part.raw) == (206, whole[start:stop])
    assert part.headers["Content-Range"] == shown


@pytest.mark.parametrize(
    "asked", ["bytes=0-1,3-4", "bytes=9-2", "bytes=-", "bytes=a-b", "lines=1-2", ""]
)
async def test_range_that_cannot_be_served_gets_the_whole(
    door: FrontDoor, worker: FakeWorker, secret: str, asked: str
):
    whole = await look(door, secret)

    answer = await look(door, secret, Range=asked)

    assert (answer.status, answer.raw) == (200, whole.raw)


async def test_range_behind_the_end_is_refused(
    door: FrontDoor, worker: FakeWorker, secret: str
):
    size = len((await look(door, secret)).raw)

    answer = await look(door, secret, Range=f"bytes={size}-")

    assert (answer.status, answer.code) == (416, "range_not_satisfiable")
    assert answer.headers["Content-Range"] == f"bytes */{size}"


async def test_part_of_an_image_that_has_changed_is_not_served(
    door: FrontDoor, worker: FakeWorker, secret: str
):
    tag = (await look(door, secret)).headers["ETag"]

    same = await look(door, secret, Range="bytes=0-9", If_Range=tag)
    other = await look(door, secret, Range="bytes=0-9", If_Range='"other"')

    assert (same.status, other.status) == (206, 200)


async def test_readers_at_two_front_doors_share_one_call(
    door: FrontDoor,
    worker: FakeWorker,
    secret: str,
    shared_valkey: Valkey,
    tmp_path: Path,
):
    async with front_door(shared_valkey.url, tmp_path) as second:
        looks = [look(d, secret) for d in (door, second) for _ in range(20)]
        answers = await asyncio.gather(*looks)

    caches = [answer.headers["X-Cache"] for answer in answers]
    assert {answer.status for answer in answers} == {200}
    assert len({answer.raw for answer in answers}) == 1
    assert (caches.count("MISS"), caches.count("HIT")) == (1, 39)
    assert len(worker.seen) == 1


async def test_reader_who_leaves_takes_nothing_from_the_others(
    door: FrontDoor, worker: FakeWorker, secret: str
):
    told = asyncio.Event()

    async def slow(lease):
        await told.wait()
        return await worker.succeed(lease)

    worker.verdict = slow
    path = f"GET {ROUTE}?key={secret}&prompt=a+fox HTTP/1.1\r\nHost: x\r\n\r\n"
    _, leaving = await asyncio.open_connection("127.0.0.1", door.port)
    leaving.write(path.encode())
    while not worker.seen:
        await asyncio.sleep(0.01)
    staying = asyncio.create_task(look(door, secret))
    leaving.transport.abort()
    while not door.door.front.waiters.count:
        await asyncio.sleep(0.01)

    told.set()

    answer = await staying
    assert (answer.status, answer.headers["X-Cache"]) == (200, "HIT")
    assert len(worker.seen) == 1


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
    door: FrontDoor, worker: FakeWorker, secret: str
):
    worker.verdict = failing("content_policy")

    first, *rest = [await look(door, secret) for _ in range(3)]

    assert (first.status, first.code) == (400, "content_policy")
    assert first.headers["Cache-Control"] == "no-store"
    assert [answer.code for answer in rest] == ["content_policy"] * 2
    assert len(worker.seen) == 1


async def test_canceled_image_is_made_anew(
    door: FrontDoor, worker: FakeWorker, secret: str
):
    worker.verdict = never
    gone = asyncio.create_task(look(door, secret))
    while not worker.seen:
        await asyncio.sleep(0.01)
    await door.post(f"/v1/jobs/{worker.seen[0].job_id}/cancel")
    worker.verdict = worker.succeed

    answer = await look(door, secret)

    assert (await gone).code == "canceled"
    assert (answer.status, answer.headers["X-Cache"]) == (200, "MISS")


async def test_deleted_image_is_made_anew(
    door: FrontDoor, worker: FakeWorker, secret: str
):
    first = await look(door, secret)
    await door.call("DELETE", f"/v1/jobs/{first.headers['x-job-id']}")

    answer = await look(door, secret)

    assert (answer.status, answer.headers["X-Cache"]) == (200, "MISS")


class Gallery:
    """Shows an image under every name but `none`; remembers what it was asked for."""

    url: str

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def show(self, request: web.Request) -> web.Response:
        self.asked.append(request.match_info["name"])
        if request.match_info["name"] == "none":
            raise web.HTTPNotFound
        data = encoded(noise(64, 64), "PNG")
        return web.Response(body=data, content_type="image/png")


@pytest.fixture
async def gallery() -> AsyncIterator[Gallery]:
    """Somebody else's images."""
    gallery = Gallery()
    app = web.Application()
    app.router.add_get("/{name}", gallery.show)
    async with TestServer(app, host="127.0.0.1") as server:
        gallery.url = str(server.make_url("")).rstrip("/")
        yield gallery


@pytest.fixture
async def open_door(
    shared_valkey: Valkey, redis: Redis, tmp_path: Path
) -> AsyncIterator[FrontDoor]:
    """A front door that follows links to this machine."""
    rules = Outbound(allowed_networks=["127.0.0.0/8"], allow_http=True)
    async with front_door(shared_valkey.url, tmp_path, outbound=rules) as door:
        yield door


async def test_references_are_what_the_image_starts_from(
    open_door: FrontDoor, redis: Redis, gallery: Gallery
):
    one, two = f"{gallery.url}/one", f"{gallery.url}/two"
    path = f"{ROUTE}?prompt=a&references="
    async with FakeWorker(redis, open_door.images) as worker:
        first = await open_door.get(f"{path}{one},{two}")
        again = await open_door.get(f"{path}{two},{one}")

    request = worker.seen[0].request
    assert (first.status, first.headers["X-Cache"]) == (200, "MISS")
    assert (again.status, again.headers["X-Cache"]) == (200, "HIT")
    assert (request.operation, len(request.images)) == ("edit", 2)
    assert sorted(gallery.asked) == ["one", "two"]


async def test_reference_that_cannot_be_had_makes_nothing(
    open_door: FrontDoor, redis: Redis, gallery: Gallery
):
    answer = await open_door.get(f"{ROUTE}?prompt=a&references={gallery.url}/none")

    assert (answer.status, answer.code) == (422, "reference_unreachable")
    assert await jobs_in(redis) == 0


async def test_log_says_nothing_of_what_a_link_says(
    door: FrontDoor, worker: FakeWorker, secret: str, capfd: pytest.CaptureFixture[str]
):
    _, exposed = await door.knows("default", scopes=GENERATE)

    await look(door, secret, "zebra")
    await look(door, secret, "zebra%ff")
    await look(door, exposed, "zebra")

    said = "".join(capfd.readouterr())
    assert "key.exposed" in said
    assert "/embed/image:{model}" in said
    assert "zebra" not in said
    assert secret not in said
    assert exposed not in said


async def test_image_that_is_lost_is_made_anew(
    door: FrontDoor, worker: FakeWorker, secret: str
):
    await look(door, secret)
    for key in await door.images.list("jobs/"):
        await door.images.delete(key)

    answers = [await look(door, secret) for _ in range(2)]

    assert [answer.status for answer in answers] == [200, 200]
    assert [answer.headers["X-Cache"] for answer in answers] == ["MISS", "HIT"]
    assert len(worker.seen) == 2
