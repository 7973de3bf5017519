"""Batches of a real front door, through both clients."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from service.client import AsyncDarkroom, Conflict, NotFound, Refused, StillRunning
from tests.fakes.clients import KINDS, Asker, asker
from tests.fakes.cutter import Cutter
from tests.fakes.door import SECRET, FrontDoor
from tests.fakes.pictures import draw
from tests.fakes.worker import FakeWorker, failing


@pytest.fixture(params=KINDS, ids=["blocking", "awaiting"])
def kind(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture
async def client(kind: Any, door: FrontDoor) -> AsyncIterator[Asker]:
    async with asker(kind, door.url, SECRET) as asked:
        yield asked


def foxes(count: int) -> Iterator[dict[str, Any]]:
    for n in range(count):
        yield {"custom_id": f"fox-{n}", "prompt": f"fox {n}", "model": "test/test"}


async def test_lines_from_anywhere_become_results(
    client: Asker, door: FrontDoor, worker: FakeWorker, tmp_path: Path
):
    (tmp_path / "a.png").write_bytes(draw("a", width=16, height=16))
    lines = [
        *foxes(3),
        "a hare alone",
        {"prompt": "a hare in a picture", "images": [tmp_path / "a.png"]},
        b'{"prompt": "raw", "seed": 1}',
        {"custom_id": "bad", "prompt": "a whale", "size": "huge"},
    ]

    batch = await client.ask(
        "submit_batch", lines, model="test/test", metadata={"book": "fables"}
    )
    results = await client.take("results", batch)
    done = await client.ask("wait_batch", batch)
    first = await client.take("results", batch, follow=False, most=2)
    rest = await client.take("results", batch, after=2, follow=False)

    by_line = {result.line: result for result in results}
    assert sorted(by_line) == [1, 2, 3, 4, 5, 6, 7]
    assert [by_line[n].custom_id for n in (1, 4, 7)] == ["fox-0", None, "bad"]
    assert all(by_line[n].images for n in range(1, 7))
    assert by_line[5].job.request["operation"] == "edit"
    assert by_line[7].problem.code == "invalid_size"
    assert [result.line for result in first + rest] == [r.line for r in results]
    assert (done.status, done.metadata) == ("completed", {"book": "fables"})
    counts = done.request_counts
    assert (counts.total, counts.completed, counts.failed) == (7, 6, 1)
    assert [(e.line, e.code) for e in done.errors.data] == [(7, "invalid_size")]
    assert done.summary.images == 6


async def test_a_batch_sent_again_under_its_name_is_the_same(
    client: Asker, tmp_path: Path
):
    path = tmp_path / "lines.jsonl"
    written = [json.dumps(line, separators=(",", ":")) for line in foxes(3)]
    path.write_text("\n".join(written))

    first = await client.ask("submit_batch", foxes(3), idempotency_key="mine")
    again = await client.ask("submit_batch", path, idempotency_key="mine")
    listed = await client.take("batches")

    assert first.id == again.id
    assert [batch.id for batch in listed] == [first.id]
    with pytest.raises(Refused) as other:
        await client.ask("submit_batch", foxes(2), idempotency_key="mine")
    assert (other.value.code, isinstance(other.value, Conflict)) == (
        "idempotency_mismatch",
        True,
    )


async def test_a_batch_is_followed_and_called_off(client: Asker, worker: FakeWorker):
    let = worker.hold()
    batch = await client.ask("submit_batch", foxes(2))

    following = asyncio.create_task(client.take("events", batch))
    with pytest.raises(StillRunning):
        await client.ask("wait_batch", batch.id, timeout_s=0.1)
    await client.ask("cancel_batch", batch)
    let.set()
    told = await following
    ended = await client.ask("batch", batch.id)

    assert told[0].batch.id == batch.id
    assert told[-1].type == "batch.cancelled"
    assert (told[-1].batch.status, ended.status) == ("cancelled", "cancelled")
    assert ended.request_counts.total == 2
    with pytest.raises(NotFound):
        await client.ask("batch", "batch_of-somebody-else")


async def test_what_failed_is_made_again(client: Asker, worker: FakeWorker):
    worker.verdict = failing("content_policy")
    batch = await client.ask("submit_batch", foxes(2))
    await client.ask("wait_batch", batch)
    worker.verdict = worker.succeed

    anew = await client.ask("retry_failed", batch)
    results = await client.take("results", anew)

    assert anew.retry_of == batch.id
    assert {result.custom_id for result in results} == {"fox-0", "fox-1"}
    assert all(result.images for result in results)


async def test_results_come_once_each_over_connections_that_are_cut(
    door: FrontDoor, worker: FakeWorker
):
    let = worker.hold()

    async def cut(_: int) -> None:
        let.set()
        while (await door.get("/v1/jobs?status=succeeded")).body["data"] == []:
            await asyncio.sleep(0.01)

    async with asker(AsyncDarkroom, door.url, SECRET) as client:
        batch = await client.ask("submit_batch", foxes(30))
    async with (
        Cutter([door.url], cuts=1, accepted=cut) as cutter,
        asker(AsyncDarkroom, cutter.url, SECRET) as client,
    ):
        results = await client.take("results", batch)

    assert sorted(result.line for result in results) == list(range(1, 31))
    assert cutter.connections >= 2


async def test_lines_may_be_awaited(door: FrontDoor, worker: FakeWorker):
    async def lines() -> AsyncIterator[dict[str, Any]]:
        for line in foxes(3):
            await asyncio.sleep(0)
            yield line

    async with AsyncDarkroom(door.url, SECRET) as client:
        batch = await client.submit_batch(lines())
        done = await client.wait_batch(batch)

    assert done.request_counts.completed == 3
