"""Both clients, blocking and awaiting, make jobs at a real front door."""

import asyncio
import hashlib
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from service.client import (
    Conflict,
    Deleted,
    JobFailed,
    NotFound,
    Refused,
    StillRunning,
    Unauthenticated,
    Unreachable,
)
from tests.fakes.clients import KINDS, Asker, asker
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


async def test_a_prompt_becomes_images(client: Asker, worker: FakeWorker):
    job = await client.ask(
        "generate", "a fox", model="test/test", n=2, metadata={"project": "calendar"}
    )
    by_key = await client.ask("image", job, 1)
    by_url = await client.ask("download", job.images[1].url)
    narrow = await client.ask("image", job, width=16, output_format="webp")

    assert (job.status, job.progress, len(job.images)) == ("succeeded", 1.0, 2)
    assert job.request["prompt"] == "a fox"
    assert job.metadata == {"project": "calendar"}
    assert job.completed_at >= job.created_at
    assert job.attempts[0].outcome == "succeeded"
    assert hashlib.sha256(by_key).hexdigest() == job.images[1].sha256
    assert by_url == by_key
    assert narrow.startswith(b"RIFF")


async def test_images_come_from_anywhere(
    client: Asker, worker: FakeWorker, tmp_path: Path
):
    first, second = (draw(name, width=16, height=16) for name in "ab")
    (tmp_path / "first.png").write_bytes(first)

    job = await client.ask(
        "submit",
        "a fox",
        model="test/test",
        images=[tmp_path / "first.png", second],
    )

    assert job.request["operation"] == "edit"
    assert [image["sha256"] for image in job.request["images"]] == [
        hashlib.sha256(data).hexdigest() for data in (first, second)
    ]


async def test_waiting_ends_with_the_job_or_with_patience(
    client: Asker, worker: FakeWorker
):
    let = worker.hold()
    job = await client.ask("submit", "a fox", model="test/test")

    with pytest.raises(StillRunning) as still:
        await client.ask("wait", job, timeout_s=0.1)
    waiting = asyncio.create_task(client.ask("wait", job.id))
    let.set()
    done = await waiting

    assert still.value.work.id == job.id
    assert (done.id, done.status) == (job.id, "succeeded")
    assert await client.ask("wait", done) is done


async def test_a_job_without_images_is_an_error_of_generate_only(
    client: Asker, worker: FakeWorker
):
    worker.verdict = failing("content_policy")

    with pytest.raises(JobFailed) as failed:
        await client.ask("generate", "a fox", model="test/test")
    job = await client.ask("wait", failed.value.job.id)

    assert failed.value.code == "content_policy"
    assert job.status == "failed"
    assert job.error.code == "content_policy"


async def test_jobs_are_listed_ended_and_removed(client: Asker, door: FrontDoor):
    jobs = [await door.submit(metadata={"n": str(n)}) for n in range(3)]
    newest_first = [job["id"] for job in reversed(jobs)]

    listed = await client.take("jobs")
    two = await client.take("jobs", limit=2)
    first = await client.take("jobs", metadata={"n": "0"}, status="queued")
    ended = await client.ask("cancel", first[0])
    again = await client.ask("cancel", ended.id)
    await client.ask("delete", ended)
    await client.ask("delete", ended)

    assert [job.id for job in listed] == newest_first
    assert [job.id for job in two] == newest_first[:2]
    assert [job.id for job in first] == newest_first[-1:]
    assert again.status == "canceled"
    with pytest.raises(Deleted, match="deleted"):
        await client.ask("job", ended.id)


async def test_each_refusal_says_what_and_which(
    client: Asker, kind: Any, door: FrontDoor, worker: FakeWorker
):
    done = await client.ask("generate", "a fox", model="test/test")

    with pytest.raises(NotFound):
        await client.ask("job", "job_of-somebody-else/..")
    with pytest.raises(Conflict) as conflict:
        await client.ask("cancel", done)
    with pytest.raises(Refused) as refused:
        await client.ask("submit", "a fox", model="test/test", n=0)
    with pytest.raises(NotFound) as unknown:
        await client.ask("submit", "a fox", model="nobody/nothing")
    async with asker(kind, door.url, "sk_wrong") as stranger:
        with pytest.raises(Unauthenticated):
            await stranger.ask("job", done.id)

    assert (conflict.value.code, conflict.value.job_id) == (
        "already_finished",
        done.id,
    )
    assert (refused.value.status, refused.value.param) == (400, "n")
    assert (refused.value.request_id or "").startswith("req_")
    assert unknown.value.code == "unknown_model"


async def test_a_job_may_bear_a_name_of_yours_and_be_made_anew(
    client: Asker, door: FrontDoor, worker: FakeWorker
):
    named = await client.ask("put", "order:7", "a fox", model="test/test")
    again = await client.ask("put", "order:7", "a fox", model="test/test")
    done = await client.ask("wait", "order:7")
    anew = await client.ask("retry", done)

    assert (named.id, named.alias) == (again.id, "order:7")
    assert done.id == named.id
    assert (anew.retry_of, anew.id == done.id) == (done.id, False)
    assert anew.request == done.request


async def test_a_preview_makes_nothing(client: Asker, door: FrontDoor):
    seen = await client.ask("preview", "a fox", model="test/test")

    assert seen["object"] == "image.job.dry_run"
    assert (await door.get("/v1/jobs")).body["data"] == []


async def test_nobody_there_is_told_within_patience(kind: Any):
    with socket.create_server(("127.0.0.1", 0)) as gone:
        url = f"http://127.0.0.1:{gone.getsockname()[1]}"

    async with asker(kind, url, SECRET, patience_s=0.3) as client:
        with pytest.raises(Unreachable, match="does not answer"):
            await client.ask("job", "job_1")
