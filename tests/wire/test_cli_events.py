"""Events are printed as they come, and forwarded as a webhook would have come."""

import asyncio
import json
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from service.cli.events import print_events
from service.cli.listen import forward_events, secret_of
from service.cli.target import Target
from tests.fakes.door import SECRET, FrontDoor, front_door
from tests.fakes.postman import LOOPBACK, postman
from tests.fakes.receiver import Receiver
from tests.fakes.terminal import Terminal
from tests.fakes.valkey import Valkey
from tests.fakes.worker import FakeWorker


@asynccontextmanager
async def running(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Let a command that has no end run meanwhile."""
    task = asyncio.create_task(work)
    yield
    assert not task.done(), task.exception()
    task.cancel()
    await asyncio.wait([task])


async def following(door: FrontDoor) -> None:
    """Wait until somebody follows the account."""
    async with asyncio.timeout(10):
        while not door.door.front.hub.followers:
            await asyncio.sleep(0.01)


async def test_the_events_of_a_job_end_with_it(door: FrontDoor, worker: FakeWorker):
    terminal = Terminal(door.url, SECRET)
    job = (await door.submit("a fox"))["id"]
    await door.get(f"/v1/jobs/{job}?wait=5")

    plain = await terminal.types("events", "--job", job)
    told = await terminal.types("events", "--job", job, "--json")
    both = await terminal.types("events", "--job", job, "--batch", "batch_1")

    assert f"  job.succeeded  {job}\n" in plain.out
    assert told.json["job"]["id"] == job
    assert both.failure == "say --job or --batch, not both"


async def test_the_events_of_a_batch_end_with_it(door: FrontDoor, worker: FakeWorker):
    terminal = Terminal(door.url, SECRET)
    lines = {"data": b'{"prompt": "a fox", "model": "test/test"}', "method": "POST"}
    made = await door.call(
        path="/v1/batches", Content_Type="application/x-ndjson", **lines
    )

    printed = await terminal.types("events", "--batch", made.body["id"], "--json")

    told = [json.loads(line) for line in printed.out.splitlines()]
    assert told[-1]["type"] == "batch.completed"
    assert {event["batch_id"] for event in told} == {made.body["id"]}


async def test_the_events_of_an_account_begin_behind_one_that_is_known(
    door: FrontDoor, worker: FakeWorker, capsys: pytest.CaptureFixture[str]
):
    target = Target(door.url, SECRET)
    async with running(print_events(target, types=["job.queued"], json=True)):
        await following(door)
        jobs = [(await door.submit(prompt))["id"] for prompt in "abc"]
        first, *_ = told = await printed(capsys, 3)
    async with running(print_events(target, after=first["id"], json=True)):
        later = await printed(capsys, 2)

    assert [event["job_id"] for event in told] == jobs
    assert first["id"] not in {event["id"] for event in later}


async def printed(
    capsys: pytest.CaptureFixture[str], count: int
) -> list[dict[str, Any]]:
    """Wait for so many lines of JSON, among whatever the front door logs."""
    found: list[dict[str, Any]] = []
    async with asyncio.timeout(10):
        while len(found) < count:
            await asyncio.sleep(0.02)
            lines = capsys.readouterr().out.splitlines()
            found += [json.loads(line) for line in lines if line.startswith("{")]
    return found


async def test_what_is_forwarded_is_what_a_webhook_brings(
    shared_valkey: Valkey,
    redis: Redis,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
):
    async with (
        front_door(shared_valkey.url, tmp_path, outbound=LOOPBACK) as door,
        postman(door.settings),
        FakeWorker(redis, door.images),
        Receiver(secret_of(SECRET)) as receiver,
    ):
        hook = {"url": f"{receiver.url}/hook"}
        endpoint = (await door.post("/v1/endpoints", hook)).body
        receiver.secrets.append(endpoint["secret"])
        target, own = Target(door.url, SECRET), f"{receiver.url}/own"
        forward = forward_events(target, own, types=[], json=True)
        async with running(forward):
            await following(door)
            job = (await door.submit("a fox"))["id"]
            heard = await receiver.until(2)
            [told] = await printed(capsys, 1)

    [by_hook] = [one for one in heard if one.path == "hook"]
    [forwarded] = [one for one in heard if one.path == "own"]
    assert forwarded.id == by_hook.id == told["id"]
    assert without_urls(forwarded.event) == without_urls(by_hook.event)
    assert forwarded.event["data"]["id"] == told["subject"] == job
    assert (told["type"], told["status"]) == ("job.succeeded", 200)
    assert receiver.forged == []


def without_urls(event: dict[str, Any]) -> dict[str, Any]:
    """Leave out what is signed anew by each reading."""
    for image in event["data"]["result"]["data"]:
        del image["url"], image["url_expires_at"]
    return event


async def test_a_receiver_that_is_away_is_told_of_once_and_asked_again(
    door: FrontDoor, worker: FakeWorker, capsys: pytest.CaptureFixture[str]
):
    async with Receiver(secret_of(SECRET)) as receiver:
        receiver.status = 0
        target = Target(door.url, SECRET)
        forward = forward_events(target, receiver.url, types=["job.queued"], json=True)
        async with running(forward):
            await following(door)
            jobs = [(await door.submit(prompt))["id"] for prompt in "abc"]
            await receiver.until(3)
            receiver.status = 500
            await receiver.until(6)
            said = capsys.readouterr().err

    assert said.count("does not answer") == 1
    assert {one.event["data"]["id"] for one in receiver.heard} == set(jobs)
    assert set(receiver.times().values()) == {2}


async def test_the_secret_stays_the_same_and_betrays_nothing(door: FrontDoor):
    terminal = Terminal(door.url, SECRET)

    first = await terminal.types("listen", "--print-secret")
    again = await terminal.types("listen", "--print-secret")
    nowhere = await terminal.types("listen", "--forward-to", "localhost:3000")

    assert first.out == again.out == f"{secret_of(SECRET)}\n"
    assert secret_of("sk_another") != secret_of(SECRET)
    assert nowhere.failure == "--forward-to takes an http:// or https:// URL"
