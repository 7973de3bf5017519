"""Batches that come line by line: made, read while they come, called off, repeated."""

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest
from redis.asyncio import Redis

from service.batches.endings import Endings
from service.job_store import keys
from service.settings import Limits
from tests.fakes.door import SECRET, FrontDoor, front_door, raw
from tests.fakes.listener import listening
from tests.fakes.pictures import draw
from tests.fakes.valkey import Valkey
from tests.fakes.worker import FakeWorker, failing

LINES = {"Content_Type": "application/x-ndjson"}


async def create(door: FrontDoor, *rows: Any, query: str = "", **headers: str) -> Any:
    """Send lines; bytes go out as they are. Return the answer."""
    written = [r if isinstance(r, bytes) else orjson.dumps(r) for r in rows]
    path = f"/v1/batches?model=test/test{query}"
    return await door.post(path, data=b"\n".join(written), **LINES, **headers)


async def created(door: FrontDoor, *rows: Any, **options: Any) -> Any:
    """Return the new batch."""
    answer = await create(door, *rows, **options)
    assert answer.status == 202, answer.raw
    return answer.body


async def results(door: FrontDoor, batch: Any, query: str = "follow=true") -> list[Any]:
    """Return the results; with `follow` all of them."""
    answer = await door.get(f"/v1/batches/{batch['id']}/results?{query}")
    assert answer.status == 200, answer.raw
    return [orjson.loads(line) for line in answer.raw.splitlines() if line]


async def read(door: FrontDoor, batch: Any) -> Any:
    """Return the batch as it stands."""
    return (await door.get(f"/v1/batches/{batch['id']}")).body


async def content(door: FrontDoor, file_id: str) -> list[Any]:
    """Return the lines of a file."""
    answer = await door.get(f"/v1/files/{file_id}/content")
    return [orjson.loads(line) for line in answer.raw.splitlines()]


async def test_sound_lines_are_made_and_bad_ones_are_named(
    door: FrontDoor, worker: FakeWorker
):
    rows = [
        {"custom_id": "fox", "prompt": "a fox", "metadata": {"page": "3"}},
        b"",
        b'{"prompt": "half',
        {"custom_id": "many", "prompt": "hares", "n": 2},
        {"custom_id": "huge", "prompt": "a whale", "size": "huge"},
        {"custom_id": "fox", "prompt": "another fox"},
    ]

    begun = await created(door, *rows, query="&metadata.book=fables")
    by_line = {result["line"]: result for result in await results(door, begun)}
    batch = await read(door, begun)
    output = await content(door, batch["output_file_id"])
    errors = await content(door, batch["error_file_id"])

    assert [(e["line"], e["code"]) for e in begun["errors"]["data"]] == [
        (3, "invalid_json"),
        (5, "invalid_size"),
        (6, "duplicate_custom_id"),
    ]
    assert sorted(by_line) == [1, 3, 4, 5, 6]
    assert by_line[1]["job"]["metadata"] == {"page": "3"}
    assert by_line[1]["job"]["batch_id"] == batch["id"]
    assert len(by_line[4]["job"]["result"]["data"]) == 2
    assert by_line[5]["custom_id"] == "huge"
    assert by_line[5]["error"]["param"] == "size"
    assert {line["custom_id"] for line in output} == {"fox", "many"}
    assert {line["line"] for line in errors} == {3, 5, 6}
    assert batch["status"] == "completed"
    assert batch["metadata"] == {"book": "fables"}
    assert batch["request_counts"] == {
        "total": 5,
        "completed": 2,
        "failed": 3,
        "canceled": 0,
        "expired": 0,
    }
    assert batch["summary"]["images"] == 3
    assert batch["summary"]["p95_ms"] >= batch["summary"]["p50_ms"] > 0


async def test_results_are_read_while_others_are_made(
    door: FrontDoor, worker: FakeWorker
):
    let = worker.hold()
    wait = worker.verdict

    async def hold_all_but_foxes(lease):
        make = worker.succeed if lease.request.prompt == "a fox" else wait
        return await make(lease)

    worker.verdict = hold_all_but_foxes
    batch = await created(door, {"prompt": "a hare"}, {"prompt": "a fox"})

    async with following(door, batch) as lines:
        first = await anext(lines)
        running = await read(door, batch)
        early = await content(door, running["output_file_id"])
        let.set()
        second = await anext(lines)
        with pytest.raises(StopAsyncIteration):
            await anext(lines)

    assert [first["line"], second["line"]] == [2, 1]
    assert (running["status"], running["output_file_id"]) == (
        "in_progress",
        (await read(door, batch))["output_file_id"],
    )
    assert [line["line"] for line in early] == [2]
    assert await results(door, batch, "after=1") == [
        {**second, "job": {**second["job"], "result": ANY_RESULT}}
    ]


class _AnyResult:
    def __eq__(self, other: object) -> bool:
        return isinstance(other, dict) and bool(other["data"])

    __hash__ = None


ANY_RESULT = _AnyResult()
"""URLs differ from reading to reading."""


@asynccontextmanager
async def following(door: FrontDoor, batch: Any) -> AsyncIterator[AsyncIterator[Any]]:
    """Read results as they come."""
    url = f"{door.url}/v1/batches/{batch['id']}/results?follow=true"
    headers = {"Authorization": f"Bearer {SECRET}"}
    async with aiohttp.ClientSession(headers=headers) as http, http.get(url) as answer:

        async def lines() -> AsyncIterator[Any]:
            async for line in answer.content:
                if line.strip():
                    yield orjson.loads(line)

        yield lines()


async def test_whoever_follows_hears_something_now_and_then(
    shared_valkey: Valkey, redis: Redis, tmp_path: Path
):
    async with front_door(shared_valkey.url, tmp_path, heartbeat_s=0.2) as door:
        batch = await created(door, {"prompt": "a fox"})
        url = f"{door.url}/v1/batches/{batch['id']}/results?follow=true"
        headers = {"Authorization": f"Bearer {SECRET}"}
        async with (
            aiohttp.ClientSession(headers=headers) as http,
            http.get(url) as answer,
        ):
            beat = await answer.content.readline()

    assert beat == b"\n"


async def test_a_revoked_key_follows_no_batch_to_its_end(
    shared_valkey: Valkey, redis: Redis, tmp_path: Path
):
    async with front_door(shared_valkey.url, tmp_path, heartbeat_s=0.2) as door:
        batch = await created(door, {"prompt": "a fox"})
        key, secret = await door.knows("default")
        url = f"{door.url}/v1/batches/{batch['id']}/results?follow=true"
        headers = {"Authorization": f"Bearer {secret}"}
        async with (
            aiohttp.ClientSession(headers=headers) as http,
            http.get(url) as answer,
        ):
            await answer.content.readline()
            await door.accounts.revoke(key.id)
            async with asyncio.timeout(5):
                rest = await answer.content.read()

    assert rest.strip() == b""


async def test_what_has_begun_is_finished_and_the_rest_is_canceled(
    shared_valkey: Valkey, redis: Redis, tmp_path: Path
):
    rows = [{"custom_id": f"fox {n}", "prompt": f"fox {n}"} for n in range(30)]
    window = {"limits": Limits(body_s=0.5, batch_window=8)}
    async with (
        front_door(shared_valkey.url, tmp_path, **window) as door,
        FakeWorker(redis, door.images) as worker,
    ):
        let = worker.hold()
        batch = await created(door, *rows)
        async with asyncio.timeout(5):
            while len(worker.seen) < 8:
                await asyncio.sleep(0.01)
        refused = await door.post(f"/v1/batches/{batch['id']}/retry-failed")

        called_off = await door.post(f"/v1/batches/{batch['id']}/cancel")
        let.set()
        found = await results(door, batch)
        again = await door.post(f"/v1/batches/{batch['id']}/cancel")
        ended = await read(door, batch)

        made = [r for r in found if r["job"] is not None]
        rest = [r for r in found if r["job"] is None]
        retry = await door.post(f"/v1/batches/{batch['id']}/retry-failed")
        repeated = await results(door, retry.body)
        whole = await door.post(f"/v1/batches/{retry.body['id']}/retry-failed")

    assert (refused.status, refused.code) == (409, "not_finished")
    assert called_off.body["status"] == "cancelling"
    assert again.body == ended
    assert ended["status"] == "cancelled"
    assert ended["request_counts"] == {
        "total": 30,
        "completed": 8,
        "failed": 0,
        "canceled": 22,
        "expired": 0,
    }
    begun = {lease.request.prompt for lease in worker.seen[:8]}
    assert {r["custom_id"] for r in made} == begun
    assert {r["error"]["code"] for r in rest} == {"batch_cancelled"}
    assert retry.body["retry_of"] == batch["id"]
    assert {r["custom_id"] for r in repeated} == {r["custom_id"] for r in rest}
    assert all(r["job"]["status"] == "succeeded" for r in repeated)
    assert (whole.status, whole.code) == (409, "nothing_failed")


async def test_sent_again_under_its_name_it_is_the_same_batch(
    door: FrontDoor, worker: FakeWorker
):
    rows = [{"prompt": "a fox"}, {"prompt": "a hare"}]

    first = await create(door, *rows, Idempotency_Key="fables")
    again = await create(door, *rows, Idempotency_Key="fables")
    other = await create(door, *rows[:1], Idempotency_Key="fables")
    options = await create(door, *rows, query="&window_s=9", Idempotency_Key="fables")
    await results(door, first.body)

    assert again.body["id"] == first.body["id"]
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.headers["Location"] == first.body["links"]["self"]
    assert (other.status, other.code) == (422, "idempotency_mismatch")
    assert (options.status, options.code) == (422, "idempotency_mismatch")
    assert len(worker.seen) == 2


async def test_lines_bring_images_and_get_bytes_if_they_ask(
    door: FrontDoor, worker: FakeWorker
):
    png = base64.b64encode(draw("a fox", width=16, height=16)).decode()
    edit = {"prompt": "in snow", "image": f"data:image/png;base64,{png}"}

    batch = await created(
        door,
        {"prompt": "a fox", "response_format": "b64_json"},
        edit,
        {"prompt": "in rain", "image": "data:image/png;base64,AAAA"},
    )
    fox, snow, rain = sorted(await results(door, batch), key=lambda r: r["line"])

    [image] = fox["job"]["result"]["data"]
    assert base64.b64decode(image["b64_json"]).startswith(b"\x89PNG")
    assert image["url"].startswith("http")
    assert snow["job"]["request"]["operation"] == "edit"
    assert snow["job"]["request"]["images"][0]["width"] == 16
    assert rain["error"]["code"] == "unsupported_image"


async def test_failures_say_why(door: FrontDoor, worker: FakeWorker):
    worker.verdict = failing("content_policy")

    batch = await created(door, {"custom_id": "x", "prompt": "a fox"})
    [result] = await results(door, batch)
    ended = await read(door, batch)

    assert result["job"]["error"]["code"] == "content_policy"
    assert result["error"] is None
    assert ended["request_counts"]["failed"] == 1
    assert ended["status"] == "completed"


async def test_a_batch_without_a_sound_line_has_failed(door: FrontDoor):
    bad = await created(door, {"prompt": ""}, b"[]")
    empty = await created(door)

    [first, second] = await results(door, bad, "")
    assert (bad["status"], empty["status"]) == ("failed", "failed")
    assert (first["error"]["code"], second["error"]["code"]) == (
        "empty_prompt",
        "body_not_object",
    )
    assert empty["errors"]["data"][0]["code"] == "empty_file"


async def test_a_batch_that_expires_keeps_what_had_begun(
    shared_valkey: Valkey, redis: Redis, tmp_path: Path
):
    window = {"limits": Limits(body_s=0.5, batch_window=2)}
    async with (
        front_door(shared_valkey.url, tmp_path, **window) as door,
        FakeWorker(redis, door.images) as worker,
    ):
        let = worker.hold()
        batch = await created(door, *[{"prompt": f"fox {n}"} for n in range(5)])
        async with asyncio.timeout(5):
            while len(worker.seen) < 2:
                await asyncio.sleep(0.01)
        await redis.zadd(keys.BATCHES_EXPIRY, {batch["id"]: 0})

        await Endings(redis, door.images, retention=timedelta(days=1)).end_due()
        expiring = await read(door, batch)
        let.set()
        found = await results(door, batch)
        ended = await read(door, batch)

    codes = [r["error"]["code"] for r in found if r["error"]]
    assert (expiring["status"], ended["status"]) == ("finalizing", "expired")
    assert codes == ["batch_expired"] * 3
    assert ended["request_counts"]["completed"] == 2
    assert ended["expired_at"] >= ended["created_at"]


async def test_what_was_deleted_is_told_as_deleted(door: FrontDoor, worker: FakeWorker):
    batch = await created(
        door,
        {"prompt": "a fox"},
        {"prompt": "a hare", "response_format": "b64_json"},
    )
    fox, hare = sorted(await results(door, batch), key=lambda r: r["line"])

    await door.call("DELETE", f"/v1/jobs/{fox['job']['id']}")
    for key in await door.images.list(f"jobs/{hare['job']['id']}/"):
        await door.images.delete(key)
    found = await results(door, batch)
    listed = (await door.get(f"/v1/jobs?batch={batch['id']}")).body
    retry = await door.post(f"/v1/batches/{batch['id']}/retry-failed")

    assert [r["error"]["code"] for r in found] == ["deleted", "deleted"]
    assert [job["id"] for job in listed["data"]] == [hare["job"]["id"]]
    assert retry.code == "nothing_failed"


async def test_a_key_follows_so_many_results_and_no_more(
    shared_valkey: Valkey, redis: Redis, tmp_path: Path
):
    one = {"limits": Limits(body_s=0.5, streams=1)}
    async with front_door(shared_valkey.url, tmp_path, **one) as door:
        batch = await created(door, {"prompt": "a fox"})
        path = f"/v1/batches/{batch['id']}/results?follow=true"

        async with following(door, batch):
            refused = await door.get(path)
            hurry = asyncio.Event()
            await asyncio.wait_for(door.door.drain(hurry=hurry), 0.8)

    assert (refused.status, refused.code) == (429, "too_many_streams")


async def test_batches_are_listed_newest_first_and_are_nobody_elses(door: FrontDoor):
    ids = [(await created(door, {"prompt": f"fox {n}"}))["id"] for n in range(3)]
    _, stranger = await door.knows("stranger")

    page = (await door.get("/v1/batches?limit=2")).body
    rest = (await door.get(f"/v1/batches?after={page['last_id']}")).body
    theirs = (await door.get("/v1/batches", secret=stranger)).body
    foreign = [
        await door.call(method, f"/v1/batches/{batch_id}{path}", secret=stranger)
        for method, path in FOREIGN
        for batch_id in (ids[0], "batch_unknown")
    ]

    assert [b["id"] for b in page["data"]] == [ids[2], ids[1]]
    assert (page["has_more"], rest["has_more"]) == (True, False)
    assert [b["id"] for b in rest["data"]] == [ids[0]]
    assert theirs["data"] == []
    assert {(answer.status, answer.code) for answer in foreign} == {(404, "not_found")}


FOREIGN = [
    ("GET", ""),
    ("GET", "/results"),
    ("GET", "/results?follow=true"),
    ("POST", "/cancel"),
    ("POST", "/retry-failed"),
]

BAD = [
    ("?window_s=0", 400, "out_of_range"),
    ("?window_s=9999999", 400, "out_of_range"),
    ("?window=9", 400, "unknown_param"),
    ("?model=a&model=b", 400, "duplicate_param"),
    ("?webhook=http://example.com/", 400, "webhook_https_required"),
    ("?webhook=https://127.0.0.1/", 400, "url_not_allowed"),
    (f"?metadata.x={'y' * 513}", 400, "invalid_metadata"),
]


@pytest.mark.parametrize(("query", "status", "code"), BAD)
async def test_wrong_options_are_refused_before_a_line_is_read(
    door: FrontDoor, redis: Redis, query: str, status: int, code: str
):
    answer = await door.post(f"/v1/batches{query}", data=b'{"prompt": "x"}', **LINES)

    assert (answer.status, answer.code) == (status, code)
    assert await redis.keys("darkroom:batch:*") == []


async def test_what_is_no_batch_leaves_nothing(
    shared_valkey: Valkey, redis: Redis, tmp_path: Path
):
    few = {"limits": Limits(body_s=0.3, batch_lines=3, batch_bytes=4096)}
    async with front_door(shared_valkey.url, tmp_path, **few) as door:
        row = {"prompt": "a fox"}
        answers = [
            await create(door, *[row] * 4),
            await create(door, {"prompt": "x" * 5000}),
            await door.post("/v1/batches", data=b"{}", Content_Type="text/plain"),
            await create(door, row, Idempotency_Key=""),
        ]
        left = await redis.keys("darkroom:batch*")

    assert [(answer.status, answer.code) for answer in answers] == [
        (400, "too_many_lines"),
        (413, "body_too_large"),
        (415, "unsupported_media_type"),
        (400, "invalid_idempotency_key"),
    ]
    assert left == []


async def test_lines_that_do_not_all_come_leave_nothing_and_come_anew(
    door: FrontDoor, redis: Redis, worker: FakeWorker
):
    rows = [{"prompt": f"fox {n}"} for n in range(1500)]
    half = b"".join(orjson.dumps(row) + b"\n" for row in rows)
    head = (
        "POST /v1/batches?model=test/test HTTP/1.1",
        "Host: here",
        f"Authorization: Bearer {SECRET}",
        "Content-Type: application/x-ndjson",
        "Idempotency-Key: fables",
        f"Content-Length: {len(half) + 9}",
    )

    status, _ = await raw(door.port, "\r\n".join(head).encode() + b"\r\n\r\n" + half)
    left = await redis.keys("darkroom:batch*"), await door.images.list("batches/")
    batch = await created(door, *rows[:2], Idempotency_Key="fables")
    found = await results(door, batch)

    assert (status, left) == (408, ([], []))
    assert len(found) == len(worker.seen) == 2


@pytest.mark.parametrize("query", ["after=-1", "after=x", "follow=yes", "limit=3"])
async def test_results_are_asked_for_properly(door: FrontDoor, query: str):
    batch = await created(door, {"prompt": "a fox"})

    answer = await door.get(f"/v1/batches/{batch['id']}/results?{query}")

    assert answer.status == 400


async def test_a_batch_is_told_with_its_jobs_to_its_end(door: FrontDoor, redis: Redis):
    batch = await created(door, {"prompt": "a fox"}, {"prompt": "a hare"})
    path = f"/v1/batches/{batch['id']}/events"

    async with listening(door.url, path) as heard:
        [first] = await heard.next()
        async with FakeWorker(redis, door.images):
            frames = [first, *await heard.rest()]
    async with listening(door.url, path) as heard:
        [whole] = await heard.rest()
    told = await door.get(f"{path}?after={frames[-1].id}")

    names = [frame.name for frame in frames]
    assert first.data["batch"]["id"] == batch["id"]
    assert (names[0], names[-1]) == ("batch.in_progress", "batch.completed")
    assert names.count("job.succeeded") == 2
    assert frames[-1].data["batch"] == await read(door, batch)
    assert (whole.name, whole.id) == (names[-1], frames[-1].id)
    assert told.status == 204
