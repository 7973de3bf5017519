"""Webhooks from end to end: a job ends, and somebody else's server believes it."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import openai
import pytest
from redis.asyncio import Redis
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from service.settings import Webhooks
from service.webhooks import Deliveries, Delivery
from tests.fakes.door import FrontDoor, front_door
from tests.fakes.postman import LOOPBACK, postman, quick
from tests.fakes.receiver import Receiver, verifies
from tests.fakes.valkey import Valkey
from tests.fakes.worker import FakeWorker, failing, never


@pytest.fixture
async def door(
    shared_valkey: Valkey, redis: Redis, tmp_path: Path
) -> AsyncIterator[FrontDoor]:
    """A front door that takes receivers on this machine."""
    async with front_door(
        shared_valkey.url, tmp_path, outbound=LOOPBACK, webhooks=quick()
    ) as front:
        yield front


@pytest.fixture
async def receiver(door: FrontDoor) -> AsyncIterator[Receiver]:
    """Knows the secret of the front door's account."""
    secret = (await door.get("/v1/webhooks/default/secret")).body["key"]
    async with Receiver(secret) as running:
        yield running


async def delivery(door: FrontDoor, **query: str) -> Any:
    """Return the only delivery there is of that kind, with its log."""
    words = "&".join(f"{name}={value}" for name, value in query.items())
    [found] = (await door.get(f"/v1/deliveries?{words}")).body["data"]
    return (await door.get(f"/v1/deliveries/{found['id']}")).body


async def settled(door: FrontDoor, **query: str) -> Any:
    """Return the delivery as soon as nothing more is to come of it."""
    await door.get(f"/v1/jobs/{query['job']}?wait=10")
    async with asyncio.timeout(10):
        while (seen := await delivery(door, **query))["status"] == "pending":
            await asyncio.sleep(0.01)
    return seen


def bare(job: Any) -> Any:
    """The job without what differs from reading to reading."""
    images = job["result"]["data"]
    for image in images:
        assert image.pop("url").startswith("http")
        del image["url_expires_at"]
    return job


async def test_the_end_of_a_job_is_told_as_get_tells_it_and_signed(
    door: FrontDoor, worker: FakeWorker, receiver: Receiver
):
    async with postman(door.settings):
        job = await door.submit(webhook={"url": f"{receiver.url}/x?y=1"})
        [heard] = await receiver.until(1)
        told = await settled(door, job=job["id"])
        seen = (await door.get(f"/v1/jobs/{job['id']}")).body

    counted = (await door.get("/metrics")).raw.decode()
    assert 'darkroom_deliveries_total{outcome="delivered"} 1.0' in counted
    assert "darkroom_delivery_late_seconds 0.0" in counted
    assert heard.event["type"] == "job.succeeded"
    assert (heard.event["object"], heard.event["id"]) == ("event", heard.id)
    assert bare(heard.event["data"]) == bare(seen)
    assert heard.headers["content-type"] == "application/json"
    assert (told["status"], told["attempts"], told["job_id"]) == (
        "delivered",
        1,
        job["id"],
    )
    assert told["url"] == f"{receiver.url}/x?y=1"
    assert told["log"][0] | {"at": 0, "ms": 0} == {
        "n": 1,
        "at": 0,
        "status": 200,
        "ms": 0,
        "error": None,
        "answer": "thanks",
    }
    assert not receiver.forged
    assert "webhook" not in str(seen)


async def test_openais_sdk_unwraps_it_and_a_changed_byte_fails(
    door: FrontDoor, worker: FakeWorker, receiver: Receiver
):
    client = openai.OpenAI(api_key="sk", webhook_secret=receiver.secrets[0])
    async with postman(door.settings):
        await door.submit(webhook={"url": receiver.url})
        [heard] = await receiver.until(1)

    event = client.webhooks.unwrap(heard.body, heard.headers)

    assert event.type == "job.succeeded"
    flipped = bytes([heard.body[-2] ^ 1])
    forged = heard.body[:-2] + flipped + heard.body[-1:]
    with pytest.raises(openai.InvalidWebhookSignatureError):
        client.webhooks.unwrap(forged, heard.headers)
    for name in ("webhook-id", "webhook-timestamp"):
        changed = heard.headers | {name: heard.headers[name][:-1] + "x"}
        with pytest.raises((openai.InvalidWebhookSignatureError, ValueError)):
            client.webhooks.verify_signature(heard.body, changed)
    with pytest.raises(WebhookVerificationError):
        Webhook("whsec_" + "A" * 32).verify(heard.body, heard.headers)


async def test_while_a_secret_is_rotated_both_are_right_and_then_one(
    door: FrontDoor, worker: FakeWorker, receiver: Receiver
):
    made = (await door.post("/v1/endpoints", {"url": receiver.url})).body
    receiver.secrets = [made["secret"]]
    path = f"/v1/endpoints/{made['id']}/rotate"

    async def verified_by() -> list[bool]:
        await door.submit()
        heard = (await receiver.until(len(receiver.heard) + 1))[-1]
        return [verifies(heard, secret) for secret in secrets]

    async with postman(door.settings):
        secrets = [made["secret"]]
        before = await verified_by()
        rotated = (await door.post(path, {})).body
        secrets.append(rotated["secret"])
        during = await verified_by()
        receiver.secrets = [rotated["secret"]]
        during_too = await verified_by()
        final = (await door.post(path, {"overlap_s": 0})).body
        secrets.append(final["secret"])
        receiver.secrets = [final["secret"]]
        after = await verified_by()

    assert before == [True]
    assert during == during_too == [True, True]
    assert after == [False, False, True]
    assert rotated["old_secret_until"] is not None
    assert not receiver.forged


@pytest.mark.parametrize(
    ("path", "status", "error"),
    [
        ("500", 500, "status"),
        ("away", 307, "status"),
        ("304", 304, "status"),
        ("cut", None, "connection"),
        ("hang", None, "timeout"),
    ],
)
async def test_what_does_not_arrive_is_sent_again_and_logged_each_time(
    door: FrontDoor,
    worker: FakeWorker,
    receiver: Receiver,
    path: str,
    status: int | None,
    error: str,
):
    worker.verdict = failing("provider_unavailable")
    receiver.says = b"\xff" + b"x" * 5000
    patience = quick(timeout_s=0.3 if path == "hang" else 15)
    async with postman(door.settings.model_copy(update={"webhooks": patience})):
        job = await door.submit(webhook={"url": f"{receiver.url}/{path}"})
        told = await settled(door, job=job["id"])

    assert (told["status"], told["reason"], told["attempts"]) == (
        "failed",
        "exhausted",
        2,
    )
    assert [(a["n"], a["status"], a["error"]) for a in told["log"]] == [
        (n, status, error) for n in (1, 2)
    ]
    assert {heard.id for heard in receiver.heard} == {told["event_id"]}
    assert {heard.path for heard in receiver.heard} == {path}
    if path == "500":
        assert told["log"][0]["answer"] == "\ufffd" + "x" * 1023


async def test_a_receiver_that_drips_has_answered_and_is_read_no_further(
    door: FrontDoor, worker: FakeWorker, receiver: Receiver
):
    async with postman(door.settings):
        job = await door.submit(webhook={"url": f"{receiver.url}/drip"})
        told = await settled(door, job=job["id"])

    assert (told["status"], told["log"][0]["status"]) == ("delivered", 200)
    assert 0 < len(told["log"][0]["answer"]) < 100


async def test_an_event_wanted_only_by_name_is_told_when_it_is_named(
    door: FrontDoor, worker: FakeWorker, receiver: Receiver
):
    await door.post("/v1/endpoints", {"url": f"{receiver.url}/all"})
    named = {"url": f"{receiver.url}/start", "events": ["job.started"]}
    secrets = [(await door.post("/v1/endpoints", named)).body["secret"]]
    worker.verdict = never
    receiver.secrets += secrets
    async with postman(door.settings):
        job = await door.submit()
        [heard] = await receiver.until(1)

    assert (heard.path, heard.event["type"]) == ("start", "job.started")
    assert heard.event["data"]["status"] == "running"
    assert heard.event["data"]["id"] == job["id"]


async def test_a_receiver_that_is_gone_hears_no_more_and_the_others_hear_of_it(
    door: FrontDoor, worker: FakeWorker, receiver: Receiver
):
    gone = {"url": f"{receiver.url}/410", "events": ["job.succeeded"]}
    other = {"url": receiver.url, "events": ["endpoint.disabled"]}
    made = [(await door.post("/v1/endpoints", wish)).body for wish in (gone, other)]
    receiver.secrets += [endpoint["secret"] for endpoint in made]
    async with postman(door.settings):
        await door.submit()
        first, second = await receiver.until(2)
        await door.submit()
        await door.submit(webhook={"url": f"{receiver.url}/own"})
        third = (await receiver.until(3))[2]

    read = (await door.get(f"/v1/endpoints/{made[0]['id']}")).body
    assert (first.path, second.event["type"]) == ("410", "endpoint.disabled")
    assert second.event["data"] == read
    assert (read["status"], read["disabled_reason"]) == ("disabled", "gone")
    assert third.path == "own"


async def test_a_job_deleted_meanwhile_is_told_by_its_id(
    door: FrontDoor, worker: FakeWorker, receiver: Receiver
):
    job = await door.submit(webhook={"url": receiver.url})
    await door.get(f"/v1/jobs/{job['id']}?wait=10")
    await door.call("DELETE", f"/v1/jobs/{job['id']}")
    async with postman(door.settings):
        [heard] = await receiver.until(1)

    assert heard.event["data"] == {"id": job["id"], "deleted": True}


async def test_a_draining_worker_gives_back_what_it_cannot_finish(
    door: FrontDoor, worker: FakeWorker, receiver: Receiver
):
    patient = door.settings.model_copy(update={"webhooks": quick(timeout_s=60)})
    async with postman(patient):
        job = await door.submit(webhook={"url": f"{receiver.url}/hang"})
        await receiver.until(1)
    given_back = await delivery(door, job=job["id"])

    async with postman(door.settings, name="next"):
        again = await receiver.until(2)

    assert (given_back["status"], given_back["attempts"]) == ("pending", 0)
    assert again[0].id == again[1].id


async def test_inner_addresses_are_refused_when_connecting_too(
    shared_valkey: Valkey, redis: Redis, tmp_path: Path
):
    async with (
        Receiver() as receiver,
        front_door(shared_valkey.url, tmp_path, webhooks=quick()) as door,
        FakeWorker(redis, door.images) as worker,
        postman(door.settings),
    ):
        let = worker.hold()
        # As one that was accepted before the rules were changed, or by a name
        # that led elsewhere then.
        job = await door.submit(webhook={"url": "https://hooks.example.com/"})
        [found] = [key async for key in redis.scan_iter("darkroom:job:*")]
        webhook = f'{{"url":"https://127.0.0.1:{receiver.port}/"}}'
        await redis.hset(found, "webhook", webhook)
        let.set()
        told = await settled(door, job=job["id"])

    assert {attempt["error"] for attempt in told["log"]} == {"blocked_address"}
    assert receiver.heard == receiver.forged == []


async def test_an_outage_of_an_hour_loses_nothing(
    shared_valkey: Valkey, redis: Redis, tmp_path: Path
):
    # The usual times by 2,000: 1.8 s are an hour.
    rules = quick(
        schedule_s=[wait / 2000 for wait in Webhooks().schedule_s],
        breaker_s=Webhooks().breaker_s / 2000,
        max_in_flight=50,
        timeout_s=15,
    )
    async with (
        front_door(
            shared_valkey.url, tmp_path, outbound=LOOPBACK, webhooks=rules
        ) as door,
        Receiver() as receiver,
        FakeWorker(redis, door.images) as worker,
    ):
        worker.verdict = failing("provider_unavailable")
        made = (await door.post("/v1/endpoints", {"url": receiver.url})).body
        receiver.secrets, receiver.status = [made["secret"]], 503
        async with postman(door.settings):
            gate = asyncio.Semaphore(32)

            async def submit(number: int) -> str:
                async with gate:
                    return (await door.submit(f"fox {number}"))["id"]

            down = asyncio.create_task(asyncio.sleep(1.8))
            jobs = await asyncio.gather(*map(submit, range(1000)))
            await down
            receiver.status, failed = 204, len(receiver.heard)
            async with asyncio.timeout(20):
                while len(receiver.heard) < failed + 1000:
                    await asyncio.sleep(0.02)
                while any(d.state == "pending" for d in await every_delivery(redis)):
                    await asyncio.sleep(0.05)
        arrived = receiver.heard[failed:]
        told = await every_delivery(redis)

    assert {heard.event["data"]["id"] for heard in arrived} == set(jobs)
    assert {delivery.state for delivery in told} == {"delivered"}
    assert max(delivery.attempts for delivery in told) <= 4
    assert receiver.times() == {d.event: d.attempts for d in told}
    numbers = [[attempt.n for attempt in delivery.log] for delivery in told]
    assert all(n == list(range(1, len(n) + 1)) for n in numbers)
    assert not receiver.forged


async def every_delivery(redis: Redis) -> list[Delivery]:
    store, found = Deliveries(redis), list[Delivery]()
    after, more = None, True
    while more:
        page, more = await store.page("default", limit=100, after=after)
        after = page[-1].id
        found += [await store.get(one.id, account="default") for one in page]
    return found
