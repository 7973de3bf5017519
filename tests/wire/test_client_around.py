"""Events, files and webhooks of a real front door, through both clients."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from service.client import AsyncDarkroom, InvalidWebhook, NotFound, verify_webhook
from tests.fakes.clients import KINDS, Asker, asker
from tests.fakes.cutter import Cutter
from tests.fakes.door import SECRET, FrontDoor, front_door
from tests.fakes.postman import LOOPBACK, postman, quick
from tests.fakes.receiver import Receiver
from tests.fakes.valkey import Valkey
from tests.fakes.worker import FakeWorker


@pytest.fixture
async def door(
    shared_valkey: Valkey, redis: Redis, tmp_path: Path
) -> AsyncIterator[FrontDoor]:
    """A front door that takes receivers on this machine."""
    async with front_door(
        shared_valkey.url, tmp_path, outbound=LOOPBACK, webhooks=quick()
    ) as front:
        yield front


@pytest.fixture(params=KINDS, ids=["blocking", "awaiting"])
def kind(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture
async def client(kind: Any, door: FrontDoor) -> AsyncIterator[Asker]:
    async with asker(kind, door.url, SECRET) as asked:
        yield asked


async def test_a_job_is_followed_to_its_end(client: Asker, worker: FakeWorker):
    let = worker.hold()
    job = await client.ask("submit", "a fox", model="test/test")

    following = asyncio.create_task(client.take("events", job))
    await client.take("events", job, most=1)
    let.set()
    told = await following
    after = await client.take("events", job.id, after=told[0].id)
    nothing = await client.take("events", job.id, after=told[-1].id)

    assert told[-1].type == "job.succeeded"
    assert told[-1].job.images
    assert [event.id for event in after] == [event.id for event in told[1:]]
    assert nothing == []


async def test_all_jobs_are_followed_over_connections_that_are_cut(
    door: FrontDoor, worker: FakeWorker
):
    follows = asyncio.Event()

    async def cut(_: int) -> None:
        while not door.door.front.hub.followers:
            await asyncio.sleep(0.01)
        await door.submit("before the cut")
        follows.set()

    async with (
        Cutter([door.url], cuts=1, accepted=cut) as cutter,
        asker(AsyncDarkroom, cutter.url, SECRET) as client,
    ):
        following = asyncio.create_task(
            client.take("events", types=["job.succeeded"], most=2)
        )
        await follows.wait()
        await door.submit("after the cut")
        told = await following

    assert len({event.job_id for event in told}) == 2
    assert [event.status for event in told] == ["succeeded"] * 2
    assert cutter.connections >= 2


async def test_files_are_uploaded_listed_read_and_deleted(
    client: Asker, tmp_path: Path
):
    path = tmp_path / "lines.jsonl"
    path.write_bytes(b'{"prompt": "a fox"}\n' * 10_000)

    whole = await client.ask("upload", path)
    small = await client.ask("upload", b"{}\n", filename="small.jsonl")
    listed = await client.take("files", purpose="batch")
    content = await client.take("content", whole)
    await client.ask("delete_file", small)

    assert (whole.filename, whole.bytes) == ("lines.jsonl", 200_000)
    assert [file.id for file in listed] == [small.id, whole.id]
    assert b"".join(content) == path.read_bytes()
    assert (await client.ask("file", whole.id)).expires_at > whole.created_at
    with pytest.raises(NotFound):
        await client.ask("file", small.id)


async def test_an_endpoint_hears_of_jobs_and_believes_it(
    client: Asker, door: FrontDoor, worker: FakeWorker
):
    async with Receiver() as receiver, postman(door.settings):
        endpoint = await client.ask("add_endpoint", receiver.url, events=["job.failed"])
        receiver.secrets.append(endpoint.secret)
        await client.ask("change_endpoint", endpoint, events=["job.succeeded"])
        await client.ask("generate", "a fox", model="test/test")
        [heard] = await receiver.until(1)
        turned = await client.ask("rotate_endpoint", endpoint, overlap_s=0)
        receiver.secrets.append(turned.secret)
        tried = await client.ask("test_endpoint", endpoint)
        await receiver.until(2)
        [first] = await client.take("deliveries", type="job.succeeded")
        await client.ask("redeliver", first)
        *_, again = await receiver.until(3)

    told = verify_webhook(heard.body, heard.headers, endpoint.secret)
    assert (told.type, told.job.status) == ("job.succeeded", "succeeded")
    assert told.id == again.id == first.event_id
    assert tried.type == "endpoint.test"
    assert verify_webhook(again.body, again.headers, turned.secret).id == told.id
    with pytest.raises(InvalidWebhook):
        verify_webhook(again.body, again.headers, endpoint.secret)


async def test_endpoints_are_listed_and_removed(client: Asker):
    endpoint = await client.ask("add_endpoint", "http://127.0.0.1:8443/x")

    listed = await client.ask("endpoints")
    await client.ask("remove_endpoint", endpoint)

    assert [each.id for each in listed] == [endpoint.id]
    assert (listed[0].secret, listed[0].status) == (None, "enabled")
    assert (await client.ask("default_secret")).startswith("whsec_")
    with pytest.raises(NotFound):
        await client.ask("endpoint", endpoint.id)


async def test_a_job_s_own_webhook_is_told(
    client: Asker, door: FrontDoor, worker: FakeWorker
):
    secret = await client.ask("default_secret")
    async with Receiver(secret) as receiver, postman(door.settings):
        job = await client.ask(
            "submit", "a fox", model="test/test", webhook=receiver.url
        )
        [heard] = await receiver.until(1)
        [sent] = await client.take("deliveries", job=job.id)
        log = (await client.ask("delivery", sent.id)).log

    assert verify_webhook(heard.body, heard.headers, secret).job_id == job.id
    assert [attempt.n for attempt in log] in ([], [1])
