"""What the front door says and does where no worker can call a model's provider."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from redis.asyncio import Redis

from service.core.errors import BatchOver
from service.intake import Terms
from service.intake.draft import Draft
from service.job_store import keys
from service.job_store.gates import Gate, tell_gates
from service.job_store.records import Place
from tests.fakes.door import FrontDoor, front_door
from tests.fakes.valkey import Valkey

CATALOG = """
[providers.near]
adapter = "test"
[providers.far]
adapter = "test"
[models.fox]
routes = ["near/test"]
sizes = ["64x64"]
[models.hen]
routes = ["far/test"]
sizes = ["64x64"]
features = ["generate", "edit"]
embed = true
[models.both]
routes = ["far/test", "near/test"]
sizes = ["64x64"]
"""
NAMED = {"Idempotency_Key": "once"}


@pytest.fixture
async def door(
    shared_valkey: Valkey, redis: Redis, tmp_path: Path
) -> AsyncIterator[FrontDoor]:
    """A front door that looks at the fleet all the time."""
    file = tmp_path / "catalog.toml"
    file.write_text(CATALOG)
    async with front_door(
        shared_valkey.url, tmp_path, beat_s=0.02, catalog_file=file
    ) as front:
        yield front


async def arrive(redis: Redis, door: FrontDoor, *served: str) -> None:
    """Let a worker come that can call those providers; wait until it is seen."""
    await tell_gates(redis, dict.fromkeys(served, Gate()))
    await redis.zadd(keys.WORKERS, {"w": time.time() * 1000})
    async with asyncio.timeout(5):
        while not door.door.front.fleet.served >= {*served} or not workers(door):
            await asyncio.sleep(0.01)


def workers(door: FrontDoor) -> int:
    return door.door.front.fleet.workers


async def test_models_say_whether_a_worker_can_make_them(door, redis):
    before = await door.get("/v1/models")
    await arrive(redis, door, "near")

    listed = await door.get("/v1/models")
    one = await door.get("/v1/models/hen")
    first, second = await door.get("/v1/openai/models"), await door.get("/v2/models")

    assert {m["id"]: m["available"] for m in before.body["data"]} == {
        "fox": False,
        "hen": False,
        "both": False,
    }
    said = {"fox": True, "hen": False, "both": True}
    assert {m["id"]: m["available"] for m in listed.body["data"]} == said
    assert one.body["available"] is False
    for mapped in (first, second):
        assert {name: m["available"] for name, m in mapped.body.items()} == said


async def test_a_job_that_nobody_could_run_is_refused_and_may_come_again(door, redis):
    await arrive(redis, door, "near")

    refused = await door.post("/v1/jobs", {"model": "hen", "prompt": "a hen"})
    pinned = await door.post(
        "/v1/jobs", {"model": "both", "prompt": "a hen", "provider": "far"}
    )
    waited = await door.post("/v1/images/generations", {"model": "hen", "prompt": "a"})
    shown = await door.get("/embed/image:hen?prompt=a+hen")
    accepted = await door.post("/v1/jobs", {"model": "both", "prompt": "a hen"})
    await arrive(redis, door, "far")
    later = await door.post("/v1/jobs", {"model": "hen", "prompt": "a hen"})

    for answer in (refused, pinned, waited, shown):
        assert (answer.status, answer.code) == (503, "no_route")
        assert answer.headers["Retry-After"] == "5"
    assert (accepted.status, later.status) == (202, 202)


async def test_without_any_worker_jobs_are_accepted_and_wait(door):
    answer = await door.post("/v1/jobs", {"model": "hen", "prompt": "a hen"})

    assert answer.status == 202


async def test_a_repeat_finds_its_job_though_the_worker_has_gone(door, redis):
    body = {"model": "hen", "prompt": "a hen"}
    cached = {"model": "hen", "prompt": "a hen", "cache": True}
    first = await door.post("/v1/jobs", body, **NAMED)
    kept = await door.post("/v1/jobs", cached)
    await arrive(redis, door, "near")

    again = await door.post("/v1/jobs", body, **NAMED)
    equal = await door.post("/v1/jobs", cached)
    other = await door.post("/v1/jobs", body | {"prompt": "an owl"}, **NAMED)

    assert again.body["id"] == first.body["id"]
    assert equal.body["id"] == kept.body["id"]
    assert other.code == "idempotency_mismatch"


async def test_a_retry_of_a_job_is_a_new_one(door, redis):
    job = await door.submit(model="hen")
    await door.post(f"/v1/jobs/{job['id']}/cancel")
    first = await door.post(f"/v1/jobs/{job['id']}/retry", **NAMED)
    await arrive(redis, door, "near")

    again = await door.post(f"/v1/jobs/{job['id']}/retry", **NAMED)
    other = await door.post(f"/v1/jobs/{job['id']}/retry")

    assert again.body["id"] == first.body["id"]
    assert other.code == "no_route"


async def test_a_line_of_a_batch_gets_as_far_as_its_batch(door, redis):
    key, _ = await door.knows("ada")
    await arrive(redis, door, "near")
    draft = Draft.model_validate({"model": "hen", "prompt": "a hen"})
    terms = Terms(place=Place(batch_id="batch_none", line=0))

    with pytest.raises(BatchOver):
        await door.door.front.intake.submit(draft, key=key, terms=terms)


async def test_a_dry_run_says_whether_anybody_could(door, redis):
    await arrive(redis, door, "near")
    dry = {"prompt": "a hen", "dry_run": True}

    hen = await door.post("/v1/jobs", {"model": "hen", **dry})
    both = await door.post("/v1/jobs", {"model": "both", **dry})

    assert (hen.status, hen.body["available"]) == (200, False)
    assert both.body["available"] is True
