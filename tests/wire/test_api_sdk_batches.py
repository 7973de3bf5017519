"""OpenAI's own Python SDK, unmodified, hands in files and reads what came of them."""

import asyncio
import base64
import io
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import openai
import orjson
import pytest
from openai import AsyncOpenAI
from openai.types import Batch
from openai.types.webhooks import BatchCompletedWebhookEvent
from redis.asyncio import Redis

from service.settings import Limits
from tests.fakes.door import SECRET, FrontDoor, front_door
from tests.fakes.pictures import draw
from tests.fakes.postman import LOOPBACK, postman, quick
from tests.fakes.receiver import Receiver
from tests.fakes.valkey import Valkey
from tests.fakes.worker import FakeWorker, failing

GENERATIONS, EDITS = "/v1/images/generations", "/v1/images/edits"


@pytest.fixture
async def door(
    shared_valkey: Valkey, redis: Redis, tmp_path: Path
) -> AsyncIterator[FrontDoor]:
    """A front door that lets four lines of a batch run, and tells receivers here."""
    async with front_door(
        shared_valkey.url,
        tmp_path,
        outbound=LOOPBACK,
        webhooks=quick(),
        limits=Limits(body_s=0.5, batch_window=4),
    ) as front:
        yield front


@pytest.fixture
async def client(door: FrontDoor) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=f"{door.url}/v1", api_key=SECRET) as client:
        yield client


def call(custom_id: str, *, url: str = GENERATIONS, **body: Any) -> dict[str, Any]:
    """A line as OpenAI's documentation has them."""
    body = {"model": "test/test", "prompt": f"a fox, {custom_id}", **body}
    return {"custom_id": custom_id, "method": "POST", "url": url, "body": body}


async def upload(client: AsyncOpenAI, rows: list[Any]) -> Any:
    """Upload a file of lines."""
    lines = [r if isinstance(r, bytes) else orjson.dumps(r) for r in rows]
    file = io.BytesIO(b"\n".join(lines))
    file.name = "calls.jsonl"
    return await client.files.create(file=file, purpose="batch")


async def create(client: AsyncOpenAI, rows: list[Any], **wishes: Any) -> Any:
    """Upload lines and make a batch of them."""
    file = await upload(client, rows)
    wanted = {"endpoint": GENERATIONS, "completion_window": "24h", **wishes}
    return await client.batches.create(input_file_id=file.id, **wanted)


async def ended(client: AsyncOpenAI, batch: Any) -> Any:
    """Poll until it has ended, as everybody does."""
    async with asyncio.timeout(20):
        while batch.status in {"validating", "in_progress", "finalizing", "cancelling"}:
            await asyncio.sleep(0.02)
            batch = await client.batches.retrieve(batch.id)
    return batch


async def rows_of(client: AsyncOpenAI, file_id: str) -> dict[str | None, Any]:
    """Return the lines of a file by their `custom_id`."""
    content = await client.files.content(file_id)
    rows = map(orjson.loads, content.text.splitlines())
    return {row["custom_id"]: row for row in rows}


async def test_twenty_five_lines_of_which_three_are_bad(
    client: AsyncOpenAI, door: FrontDoor, worker: FakeWorker
):
    secret = (await door.get("/v1/webhooks/default/secret")).body["key"]
    rows = [call(f"fox-{n}") for n in range(22)]
    rows[4:4] = [b"not JSON", call("no-prompt", prompt=""), call("no-model", model="x")]

    async with Receiver(secret) as receiver, postman(door.settings):
        batch = await create(
            client,
            rows,
            metadata={"book": "fables"},
            extra_body={"webhook": {"url": receiver.url}},
        )
        batch = await ended(client, batch)
        heard = await receiver.until(2)
    output = await rows_of(client, batch.output_file_id)
    errors = await rows_of(client, batch.error_file_id)
    listed = [one.id async for one in client.batches.list(limit=1)]
    told = [client.webhooks.unwrap(h.body, h.headers, secret=secret) for h in heard]

    assert batch.status == "completed"
    counts = batch.request_counts
    assert (counts.total, counts.completed, counts.failed) == (25, 22, 3)
    assert [(e.line, e.code) for e in batch.errors.data] == [
        (5, "invalid_json"),
        (6, "empty_prompt"),
        (7, "unknown_model"),
    ]
    assert set(output) == {f"fox-{n}" for n in range(22)}
    for name, row in output.items():
        assert row["id"].startswith("batch_req_")
        assert (row["error"], row["response"]["status_code"]) == (None, 200)
        [image] = row["response"]["body"]["data"]
        shown = await door.get(image["url"], secret=None)
        assert shown.raw == draw(f"a fox, {name} 0", width=8, height=8)
    assert set(errors) == {None, "no-prompt", "no-model"}
    assert errors["no-model"]["error"]["code"] == "unknown_model"
    assert batch.metadata == {"book": "fables"}
    assert listed == [batch.id]
    [done] = [event for event in told if event.type == "batch.completed"]
    assert isinstance(done, BatchCompletedWebhookEvent)
    assert (done.object, done.data.id) == ("event", batch.id)


async def test_a_batch_that_is_canceled_has_its_begun_lines_made(
    client: AsyncOpenAI, worker: FakeWorker
):
    let = worker.hold()
    batch = await create(client, [call(f"fox-{n}") for n in range(25)])
    async with asyncio.timeout(5):
        while len(worker.seen) < 4:
            await asyncio.sleep(0.01)

    canceled = await client.batches.cancel(batch.id)
    let.set()
    batch = await ended(client, batch)
    output = await rows_of(client, batch.output_file_id)
    errors = await rows_of(client, batch.error_file_id)
    with pytest.raises(openai.ConflictError):
        await client.batches.cancel((await done(client)).id)

    assert (canceled.status, batch.status) == ("cancelling", "cancelled")
    assert canceled.cancelling_at <= batch.cancelled_at
    begun = {lease.request.prompt.removeprefix("a fox, ") for lease in worker.seen[:4]}
    assert set(output) == begun
    assert len(output) + len(errors) == 25
    assert {row["error"]["code"] for row in errors.values()} == {"batch_cancelled"}


async def done(client: AsyncOpenAI) -> Any:
    """Return a batch that is completed."""
    return await ended(client, await create(client, [call("fox")]))


async def test_edits_and_bytes_come_the_same_way(
    client: AsyncOpenAI, worker: FakeWorker
):
    png = base64.b64encode(draw("a fox", width=16, height=16)).decode()
    image = {"image_url": f"data:image/png;base64,{png}"}
    rows = [
        call("snow", url=EDITS, images=[image], response_format="b64_json"),
        call("rain", url=EDITS),
        call("fox"),
    ]

    batch = await ended(client, await create(client, rows, endpoint=EDITS))
    output = await rows_of(client, batch.output_file_id)

    [snow] = output["snow"]["response"]["body"]["data"]
    assert base64.b64decode(snow["b64_json"]).startswith(b"\x89PNG")
    assert worker.seen[0].request.operation == "edit"
    assert [(e.line, e.code) for e in batch.errors.data] == [
        (2, "missing_field"),
        (3, "invalid_enum"),
    ]


async def test_a_failed_line_says_what_the_call_would_have_been_answered(
    client: AsyncOpenAI, worker: FakeWorker
):
    worker.verdict = failing("content_policy")

    batch = await done(client)
    errors = await rows_of(client, batch.error_file_id)
    worker.verdict = worker.succeed
    retry = await client.post(f"/batches/{batch.id}/retry-failed", cast_to=Batch)
    retried = await ended(client, retry)

    response = errors["fox"]["response"]
    assert errors["fox"]["error"] is None
    assert response["status_code"] == 400
    assert response["body"]["error"]["code"] == "content_policy"
    assert response["request_id"].startswith("job_")
    assert await rows_of(client, batch.output_file_id) == {}
    assert retried.retry_of == batch.id
    assert set(await rows_of(client, retried.output_file_id)) == {"fox"}


async def test_a_repeated_call_makes_no_second_batch(
    client: AsyncOpenAI, door: FrontDoor
):
    file = await upload(client, [call("fox")])
    wanted = {
        "input_file_id": file.id,
        "endpoint": GENERATIONS,
        "completion_window": "24h",
    }

    first = await client.batches.create(**wanted)
    retry = await door.post("/v1/batches", wanted, x_stainless_retry_count="1")
    meant = await client.batches.create(**wanted)
    name = {"extra_headers": {"Idempotency-Key": "fables"}}
    named = [await client.batches.create(**wanted, **name) for _ in range(2)]
    with pytest.raises(openai.UnprocessableEntityError):
        await client.batches.create(**{**wanted, "metadata": {"a": "b"}}, **name)

    assert retry.body["id"] == first.id
    assert meant.id != first.id
    assert named[0].id == named[1].id not in {first.id, meant.id}


async def test_what_cannot_be_a_batch_is_refused(client: AsyncOpenAI, door: FrontDoor):
    lines = await upload(client, [call("fox")])
    photo = await client.files.create(file=b"a photo", purpose="vision")
    wanted = {
        "input_file_id": lines.id,
        "endpoint": GENERATIONS,
        "completion_window": "24h",
    }

    answers = [
        await door.post("/v1/batches", {**wanted, **change})
        for change in (
            {"input_file_id": "file-unknown"},
            {"input_file_id": photo.id},
            {"endpoint": "/v1/chat/completions"},
            {"completion_window": "31d"},
            {"output_expires_after": {"anchor": "created_at", "seconds": 60}},
            {"metadata": {"x": 5}},
            {"webhook": {"url": "ftp://example.com"}},
            {"files": 3},
        )
    ]

    assert [(answer.status, answer.code) for answer in answers] == [
        (404, "not_found"),
        (400, "incompatible_options"),
        (400, "invalid_enum"),
        (400, "out_of_range"),
        (400, "out_of_range"),
        (400, "invalid_metadata"),
        (400, "invalid_url"),
        (400, "unknown_field"),
    ]
