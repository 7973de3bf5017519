"""Readiness, figures, drains, and what becomes of requests while Redis is away."""

import asyncio
import time

import aiohttp
import pytest
from redis.asyncio import Redis

from service.core.jobs import Job
from service.job_store import JobStore, keys
from tests.fakes.door import FrontDoor, front_door
from tests.fakes.valkey import Valkey
from tests.fakes.worker import FakeWorker, never

ASK = {"model": "test/test", "prompt": "a fox"}


async def until_ready_is(door: FrontDoor, status: int, *, within_s: float) -> float:
    began = time.monotonic()
    async with asyncio.timeout(within_s):
        while (await door.get("/readyz", secret=None)).status != status:
            await asyncio.sleep(0.02)
    return time.monotonic() - began


async def test_healthy_door_says_so_without_a_key(door: FrontDoor, redis: Redis):
    await redis.zadd(keys.WORKERS, {"w1": time.time() * 1000, "w0": 1})

    health = await door.get("/healthz", secret=None)
    alias = await door.get("/health", secret=None)
    ready = await door.get("/readyz", secret=None)

    assert (health.status, health.body) == (200, {"status": "ok"})
    assert (alias.status, alias.body) == (200, {"status": "ok"})
    assert ready.status == 200
    assert (ready.body["status"], ready.body["queue"]) == ("ready", "ok")
    assert ready.headers["Cache-Control"] == "no-store"


async def test_readiness_names_workers_and_starvation(shared_valkey, redis, tmp_path):
    async with front_door(shared_valkey.url, tmp_path, beat_s=0.1) as door:
        await door.submit()
        await asyncio.sleep(0.3)
        alone = (await door.get("/readyz")).body
        await redis.zadd(keys.WORKERS, {"w1": time.time() * 1000, "gone": 1})
        await asyncio.sleep(0.3)
        staffed = (await door.get("/readyz")).body

    assert (alone["workers"], alone["open_jobs"], alone["starving"]) == (0, 1, True)
    assert (staffed["workers"], staffed["starving"]) == (1, False)
    assert staffed["store"] == "ok"


async def test_frozen_redis_refuses_within_three_seconds_and_for_good(
    valkey: Valkey, tmp_path
):
    async with front_door(valkey.url, tmp_path, beat_s=0.5) as door:
        before = await door.submit("before")
        valkey.freeze()
        began = time.monotonic()
        refused = await asyncio.gather(
            *(door.post("/v1/jobs", {**ASK, "prompt": "lost"}) for _ in range(20))
        )
        took_s = time.monotonic() - began
        red_after_s = await until_ready_is(door, 503, within_s=15)
        valkey.thaw()
        green_after_s = await until_ready_is(door, 200, within_s=15)
        after = await door.submit("after")
        listed = (await door.get("/v1/jobs")).body["data"]

    assert {(a.status, a.code) for a in refused} == {(503, "queue_unavailable")}
    assert all("Retry-After" in answer.headers for answer in refused)
    assert took_s < 3
    assert max(red_after_s, green_after_s) < 15
    assert [job["id"] for job in listed] == [after["id"], before["id"]]


@pytest.mark.parametrize(
    ("breaking", "mending"),
    [
        (("REPLICAOF", "127.0.0.1", "1"), ("REPLICAOF", "NO", "ONE")),
        (
            ("CONFIG", "SET", "maxmemory", "1"),
            ("CONFIG", "SET", "maxmemory", "0"),
        ),
    ],
    ids=["a replica", "full"],
)
async def test_a_redis_that_takes_no_writes_is_red_until_it_does(
    valkey: Valkey, tmp_path, breaking: tuple[str, ...], mending: tuple[str, ...]
):
    async with (
        front_door(valkey.url, tmp_path, beat_s=0.2) as door,
        Redis.from_url(valkey.url) as admin,
    ):
        await admin.execute_command(*breaking)
        red_after_s = await until_ready_is(door, 503, within_s=15)
        seen = (await door.get("/readyz", secret=None)).body
        await admin.execute_command(*mending)
        green_after_s = await until_ready_is(door, 200, within_s=15)

    assert (seen["status"], seen["queue"]) == ("not_ready", "unavailable")
    assert max(red_after_s, green_after_s) < 15


async def test_restarted_redis_is_found_again_by_waiters(valkey: Valkey, tmp_path):
    async with front_door(valkey.url, tmp_path) as door:
        job = await door.submit()
        wait = asyncio.create_task(door.get(f"/v1/jobs/{job['id']}?wait=20"))
        while not door.door.front.waiters.count:
            await asyncio.sleep(0.01)
        await asyncio.to_thread(restart, valkey)

        async with (
            Redis.from_url(valkey.url) as redis,
            FakeWorker(redis, door.images),
        ):
            answer = await wait

    assert answer.body["status"] == "succeeded"


def restart(valkey: Valkey) -> None:
    valkey.kill()
    valkey.start()


async def test_lost_publish_costs_a_waiter_no_more_than_a_second(
    door: FrontDoor, redis: Redis, worker: FakeWorker
):
    worker.verdict = never
    job = await door.submit()
    wait = asyncio.create_task(door.get(f"/v1/jobs/{job['id']}?wait=20"))
    while not worker.seen or not door.door.front.waiters.count:
        await asyncio.sleep(0.01)

    # What a worker would commit, without the publish.
    await redis.hset(keys.job(job["id"]), "state", "canceled")
    began = time.monotonic()
    answer = await wait

    assert answer.body["status"] == "canceled"
    assert time.monotonic() - began < 1.5


async def test_waiters_are_woken_at_once(door: FrontDoor, worker: FakeWorker):
    jobs = [await door.submit(str(i)) for i in range(5)]
    waits = [door.get(f"/v1/jobs/{job['id']}?wait=10") for job in jobs]

    began = time.monotonic()
    answers = await asyncio.gather(*waits)

    assert {answer.body["status"] for answer in answers} == {"succeeded"}
    assert time.monotonic() - began < 0.9
    assert door.door.front.waiters.count == 0


async def test_draining_door_is_red_and_finishes_what_it_began(
    shared_valkey, redis, tmp_path
):
    async with (
        front_door(shared_valkey.url, tmp_path) as door,
        FakeWorker(redis, door.images) as worker,
    ):
        release = asyncio.Event()

        async def held(lease):
            await release.wait()
            return await worker.succeed(lease)

        worker.verdict = held
        call = asyncio.create_task(door.post("/v1/images/generations", ASK))
        poll = asyncio.create_task(poll_first_job(door))
        while not worker.seen or door.door.front.waiters.count < 2:
            await asyncio.sleep(0.01)

        drain = asyncio.create_task(door.door.drain(hurry=asyncio.Event()))
        red_after_s = await until_ready_is(door, 503, within_s=2)
        polled = await poll
        assert not drain.done()
        release.set()
        answer = await call
        await drain

    assert red_after_s < 1
    assert polled.body["status"] in {"queued", "running"}
    assert answer.status == 200
    assert answer.headers["Connection"] == "close"


async def is_shut(door: FrontDoor) -> bool:
    try:
        await door.get("/healthz")
    except aiohttp.ClientConnectorError:
        return True
    return False


async def poll_first_job(door: FrontDoor):
    while not (jobs := (await door.get("/v1/jobs")).body["data"]):
        await asyncio.sleep(0.01)
    return await door.get(f"/v1/jobs/{jobs[0]['id']}?wait=30")


async def test_busy_door_that_drains_lets_nobody_in_any_more_and_ends(
    shared_valkey, redis, tmp_path
):
    async with (
        front_door(shared_valkey.url, tmp_path, notice_s=0.2) as door,
        FakeWorker(redis, door.images) as worker,
    ):
        release = asyncio.Event()

        async def held(lease):
            await release.wait()
            return await worker.succeed(lease)

        worker.verdict = held
        call = asyncio.create_task(door.post("/v1/images/generations", ASK))
        while not door.door.front.waiters.count:
            await asyncio.sleep(0.01)

        drain = asyncio.create_task(door.door.drain(hurry=asyncio.Event()))
        late = await door.post("/v1/jobs", ASK)
        async with asyncio.timeout(5):
            while not await is_shut(door):
                pass
        release.set()
        answer = await call
        await drain

    assert (late.status, answer.status) == (202, 200)


async def test_drain_in_a_hurry_waits_for_nobody(shared_valkey, redis, tmp_path):
    async with front_door(shared_valkey.url, tmp_path) as door:
        call = asyncio.create_task(door.post("/v1/images/generations", ASK))
        while not door.door.front.waiters.count:
            await asyncio.sleep(0.01)
        hurry = asyncio.Event()
        hurry.set()

        async with asyncio.timeout(1):
            await door.door.drain(hurry=hurry)
        answered = call.done()
        call.cancel()

    assert not answered


async def test_figures_are_for_this_machine_or_for_a_key(door: FrontDoor):
    await door.submit()

    local = await door.get("/metrics", secret=None)
    proxied = await door.get("/metrics", secret=None, X_Forwarded_For="10.0.0.1")
    with_key = await door.get("/metrics", X_Forwarded_For="10.0.0.1")

    assert local.status == with_key.status == 200
    assert (proxied.status, proxied.code) == (401, "missing_key")
    text = local.raw.decode()
    assert 'darkroom_jobs_submitted_total{outcome="made"} 1.0' in text
    assert 'route="/v1/jobs",status="202"' in text


async def test_record_is_the_truth_even_where_the_door_guessed(
    door: FrontDoor, redis: Redis
):
    job = await door.submit(deadline_s=60, metadata={"a": "b"})

    record: Job = await JobStore(redis).get(job["id"], account="default")

    assert record.metadata == {"a": "b"}
    assert record.deadline is not None
    assert abs(record.created_at.timestamp() - job["created_at"]) < 2
