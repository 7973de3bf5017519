"""What the native route takes beside a prompt: images, a cap, the cache, a dry run."""

import asyncio
import base64

import aiohttp
import pytest
from redis.asyncio import Redis

from service.core.requests import InputImage
from tests.fakes.door import FrontDoor
from tests.fakes.pictures import draw
from tests.fakes.worker import FakeWorker, failing, never

JOBS = "/v1/jobs"
ASK = {"model": "test/test", "prompt": "a fox"}
PICTURE = draw("a cat", width=32, height=24)


def data_url(data: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(data).decode()


async def everything(redis: Redis) -> dict[bytes, bytes]:
    """Return all there is in Redis, but for what the process itself keeps fresh."""
    names = [name async for name in redis.scan_iter("*")]
    return {name: await redis.dump(name) for name in names if b"canary" not in name}


async def test_dry_run_tells_what_would_become_of_it(door: FrontDoor):
    await door.submit("somebody else's", priority="batch")
    fields = {**ASK, "n": 2, "size": "3840x2160", "priority": "batch"}

    answer = await door.post(JOBS, {**fields, "dry_run": True, "max_cost": 0})

    told = answer.body
    assert answer.status == 200
    assert told["object"] == "image.job.dry_run"
    assert told["model"] == "test/test"
    assert told["request"]["size"] == "3840x2160"
    assert told["routes"] == [{"provider": "test", "provider_model": "test"}]
    assert told["price"] == {"usd": 0.0, "source": "priced"}
    assert told["quota_units"] == 25_000
    assert told["queue"] == {
        "position": 2,
        "eta_s": None,
        "priority": "batch",
        "held": False,
    }
    assert told["warnings"] == []
    assert "x-job-id" not in answer.headers


async def test_dry_run_makes_nothing(door: FrontDoor, redis: Redis):
    before = await everything(redis)

    answer = await door.post(
        JOBS,
        {**ASK, "dry_run": True, "images": [data_url(PICTURE)], "cache": True},
        Idempotency_Key="mine",
    )

    assert (answer.status, answer.body["images"]) == (200, 1)
    assert answer.body["request"]["operation"] == "edit"
    assert await everything(redis) == before
    assert await door.images.list("jobs/") == []


async def test_dry_run_names_the_fields_that_would_be_dropped(door: FrontDoor):
    fields = {"model": "gpt-image-1", "prompt": "a fox", "seed": 5, "dry_run": True}

    strict = await door.post(JOBS, fields)
    lenient = await door.post(JOBS, {**fields, "strict": False})

    assert (strict.status, strict.code) == (400, "unsupported_field")
    assert [w["param"] for w in lenient.body["warnings"]] == ["seed"]
    assert lenient.body["price"]["source"] == "estimated"


async def test_dry_run_counts_as_a_request_of_the_key(door: FrontDoor):
    _, secret = await door.knows("ada", requests_per_minute=1)

    answers = [
        await door.post(JOBS, {**ASK, "dry_run": True}, secret=secret) for _ in "12"
    ]

    assert [answer.status for answer in answers] == [200, 429]


async def test_dry_run_stands_among_its_own_where_the_key_runs_as_many_as_it_may(
    door: FrontDoor, worker: FakeWorker, redis: Redis
):
    worker.verdict = never
    key, secret = await door.knows("ada", running_jobs=1)
    for _ in range(3):
        await door.post(JOBS, ASK, secret=secret)
    while await redis.zcard(f"darkroom:queue:wait:key:{key.id}") < 2:
        await asyncio.sleep(0.01)

    told = (await door.post(JOBS, {**ASK, "dry_run": True}, secret=secret)).body

    assert told["queue"]["position"] == 3


async def test_job_that_would_cost_more_than_it_may_is_refused(door: FrontDoor):
    fields = {"model": "gpt-image-1", "prompt": "a fox", "quality": "high"}

    answer = await door.post(JOBS, {**fields, "max_cost": 0.001})

    assert (answer.status, answer.code) == (400, "max_cost_exceeded")
    assert answer.body["error"]["param"] == "max_cost"


async def test_equal_jobs_that_ask_for_the_cache_are_made_once(
    door: FrontDoor, worker: FakeWorker
):
    _, secret = await door.knows("ada", quota_units=5_000)
    fields = {**ASK, "cache": True}

    answers = await asyncio.gather(
        *(door.post(JOBS, fields, secret=secret) for _ in range(10))
    )
    first = answers[0].body["id"]
    await door.get(f"{JOBS}/{first}?wait=10", secret=secret)
    later = await door.post(JOBS, {**fields, "prompt": " a  fox "}, secret=secret)

    hits = [answer.headers["X-Cache"] for answer in answers]
    assert {answer.body["id"] for answer in answers} == {first}
    assert sorted(hits) == ["HIT"] * 9 + ["MISS"]
    assert later.body["status"] == "succeeded"
    assert later.headers["X-Cache"] == "HIT"
    assert "Idempotent-Replayed" not in later.headers
    assert len(worker.seen) == 1


async def test_cache_is_asked_for_each_time_and_never_crosses_accounts(
    door: FrontDoor, worker: FakeWorker
):
    _, secret = await door.knows("ada")
    fields = {**ASK, "cache": True}
    made = await door.post("/v1/images/generations", fields)

    same = await door.post("/v1/images/generations", fields)
    native = await door.post(JOBS, fields)
    anew = await door.post(JOBS, ASK)
    foreign = await door.post(JOBS, fields, secret=secret)

    ids = [a.headers["x-job-id"] for a in (made, same, native, anew, foreign)]
    assert ids[0] == ids[1] == ids[2]
    assert len(set(ids)) == 3
    assert "X-Cache" not in anew.headers


async def test_failure_is_not_what_the_cache_is_for(
    door: FrontDoor, worker: FakeWorker
):
    worker.verdict = failing("content_policy")
    failed = await door.submit(cache=True)
    await door.get(f"{JOBS}/{failed['id']}?wait=10")

    again = await door.post(JOBS, {**ASK, "cache": True})

    assert again.headers["X-Cache"] == "MISS"
    assert again.body["id"] != failed["id"]


async def test_images_come_along_as_data_urls(door: FrontDoor, worker: FakeWorker):
    fields = {"model": "test/test", "images": [data_url(PICTURE)], "n": 2}

    job = (await door.post(JOBS, fields)).body
    done = (await door.get(f"{JOBS}/{job['id']}?wait=10")).body

    [shown] = done["request"]["images"]
    [lease] = worker.seen
    [stored] = lease.request.images
    assert (done["status"], job["request"]["operation"]) == ("succeeded", "edit")
    assert (shown["width"], shown["height"]) == (32, 24)
    assert (lease.request.operation, lease.request.prompt) == ("edit", "")
    assert shown["sha256"] == stored.sha256
    assert "key" not in shown
    await assert_reads(door, stored)


async def assert_reads(door: FrontDoor, stored: InputImage) -> None:
    data = await door.images.get(stored.key)
    assert data is not None
    assert data.startswith(b"\x89PNG")


@pytest.mark.parametrize("operation", ["edit", "variation"])
async def test_images_come_along_as_files(
    door: FrontDoor, worker: FakeWorker, operation: str
):
    form = aiohttp.FormData({"model": "test/test", "operation": operation, "n": "2"})
    form.add_field("prompt", "with a hat")
    form.add_field("image", PICTURE, filename="cat.png", content_type="image/png")

    job = (await door.post(JOBS, data=form)).body
    done = (await door.get(f"{JOBS}/{job['id']}?wait=10")).body

    assert done["status"] == "succeeded"
    assert done["request"]["operation"] == operation
    assert len(done["result"]["data"]) == 2


async def test_job_tells_who_knows_its_cost(door: FrontDoor, worker: FakeWorker):
    worker.verdict = lambda lease: worker.make(
        lease, 1, cost_usd="0.25", cost_source="reported"
    )
    job = await door.submit()

    done = (await door.get(f"{JOBS}/{job['id']}?wait=10")).body

    assert (job["cost"], job["cost_source"]) == (None, None)
    assert (done["cost"], done["cost_source"]) == (0.25, "reported")


async def test_job_whose_image_is_lost_is_not_what_the_cache_is_for(
    door: FrontDoor, worker: FakeWorker
):
    route, fields = "/v1/images/generations", {**ASK, "cache": True}
    await door.post(route, fields)
    for key in await door.images.list("jobs/"):
        await door.images.delete(key)

    answers = [
        await door.post(route, {**fields, "response_format": "b64_json"})
        for _ in range(3)
    ]

    assert [answer.status for answer in answers] == [503, 200, 200]
    assert answers[0].code == "store_unavailable"
    assert [a.headers["X-Cache"] for a in answers[1:]] == ["MISS", "HIT"]
    assert len(worker.seen) == 2


async def test_what_a_refusal_is_to_lead_to_travels_with_the_request(
    door: FrontDoor, worker: FakeWorker
):
    job = await door.submit(failover_on_refusal=True)
    plain = await door.submit()
    await door.get(f"{JOBS}/{job['id']}?wait=10")

    assert job["request"]["failover_on_refusal"] is True
    assert "failover_on_refusal" not in plain["request"]
    [wish] = [
        lease.request.failover_on_refusal
        for lease in worker.seen
        if lease.job_id == job["id"]
    ]
    assert wish is True
