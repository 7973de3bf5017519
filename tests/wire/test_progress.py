"""How far a job has come: from the adapter, over the record, to whoever follows."""

import asyncio
from pathlib import Path

import pytest
from redis.asyncio import Redis
from structlog.testing import capture_logs

from service.core.jobs import JobId, JobState
from service.core.requests import GenerationRequest, Priority
from service.job_store import JobStore, keys
from service.job_store.lease import Lease
from service.job_store.leases import Leases
from service.job_store.records import NewJob
from tests.fakes.door import FrontDoor
from tests.fakes.listener import listening
from tests.fakes.studio import studio
from tests.fakes.valkey import Valkey
from workers.progress import Progress

JOB = JobId("job_" + "0" * 26)
ENDPOINT = "ep_1"


@pytest.fixture
async def leases(redis: Redis):
    worker = Leases(redis, worker="w", slots=2)
    yield worker
    await worker.aclose()


@pytest.fixture
async def jobs(redis: Redis):
    store = JobStore(redis)
    yield store
    await store.aclose()


@pytest.fixture
async def lease(jobs: JobStore, leases: Leases) -> Lease:
    """A job in work."""
    new = NewJob(
        id=JOB,
        account="ada",
        key_id="key_1",
        priority=Priority.NORMAL,
        request=GenerationRequest(model="fox/one", prompt="a fox"),
    )
    await jobs.submit(new)
    [lease] = (await leases.claim(1, held={})).leases
    return lease


async def told(redis: Redis) -> list[str]:
    """What the account's stream says of progress."""
    entries = await redis.xrange(keys.events("ada"))
    return [f[b"progress"].decode() for _, f in entries if b"progress" in f]


async def test_progress_is_on_record_and_only_rises(redis, jobs, leases, lease):
    noted = [await leases.advance(lease, share) for share in (0.25, 0.2, 0.25, 0.5)]

    job = await jobs.get(JOB, account="ada")
    assert noted == [True, False, False, True]
    assert (job.state, job.progress) == (JobState.RUNNING, 0.5)
    assert await told(redis) == ["0.250", "0.500"]


async def test_a_worker_that_lost_the_job_says_nothing_of_it(redis, leases, lease):
    await leases.release(lease)
    [again] = (await leases.claim(1, held={})).leases

    late = await leases.advance(lease, 0.9)

    assert (again.fence, late) == (lease.fence + 1, False)
    assert await told(redis) == []


async def test_the_next_attempt_begins_anew(redis, jobs, leases, lease):
    await leases.advance(lease, 0.9)
    await leases.release(lease)
    waiting = await jobs.get(JOB, account="ada")
    [again] = (await leases.claim(1, held={})).leases

    await leases.advance(again, 0.1)

    job = await jobs.get(JOB, account="ada")
    assert (waiting.progress, job.progress) == (0.0, 0.1)


async def test_only_who_asked_for_progress_is_sent_it(redis, leases, lease):
    wishes = {"ep_some": "job.progress job.succeeded", "ep_all": "*"}
    await redis.hset("darkroom:endpoints:ada", mapping=wishes)

    await leases.advance(lease, 0.25)
    await leases.advance(lease, 0.5)

    ids = await redis.zrange(keys.DELIVER, 0, -1)
    sent = [
        await redis.hmget(f"darkroom:delivery:{i.decode()}", "endpoint", "type")
        for i in ids
    ]
    assert sent == [[b"ep_some", b"job.progress"]] * 2


async def test_what_is_said_too_often_is_dropped(redis, leases, lease):
    progress = Progress(leases, lease)

    for share in (0.2, 0.3, float("nan"), 2.0):
        progress.note(share)
    async with asyncio.timeout(5):
        while not await told(redis):
            await asyncio.sleep(0.01)
    progress.close()

    assert await told(redis) == ["0.200"]


async def test_a_redis_that_is_away_is_nothing_to_an_attempt(valkey: Valkey):
    redis = Redis.from_url(valkey.url)
    leases = Leases(redis, worker="w", slots=2)
    gone = Lease(
        job_id=JOB,
        fence=1,
        payload=b"{}",
        attempts=0,
        interruptions=0,
        priority=Priority.NORMAL,
        account="ada",
        taken_at=0.0,
    )
    valkey.kill()
    progress = Progress(leases, gone)

    with capture_logs() as said:
        progress.note(0.5)
        async with asyncio.timeout(5):
            while not said:
                await asyncio.sleep(0.01)

    assert said[0]["event"] == "progress.dropped"
    progress.close()
    await leases.aclose()
    await redis.aclose()


async def test_a_follower_sees_a_slow_job_come_along(door: FrontDoor, tmp_path: Path):
    async with studio(door.settings):
        job = await door.submit(model="test/slow-1.25", size="256x256")
        async with listening(door.url, f"/v1/jobs/{job['id']}/events") as heard:
            frames = await heard.rest()

    said = {frame.name: frame.data["progress"] for frame in frames}
    assert said["job.progress"] == 0.8
    assert said["job.succeeded"] == 1.0


async def test_each_unfinished_image_is_a_step(door: FrontDoor):
    asked = {"model": "test/test", "prompt": "a fox", "stream": True}
    async with studio(door.settings), listening(door.url, "/v1/events") as heard:
        await door.post("/v1/images/generations", {**asked, "partial_images": 1})
        frames = await heard.next(4)

    told = [(frame.name, frame.data["progress"]) for frame in frames]
    assert told[1:3] == [("job.started", None), ("job.progress", 0.5)]
