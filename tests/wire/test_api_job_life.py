"""Jobs under ids of the caller's own, and jobs that are made anew."""

import asyncio
from base64 import b64encode
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from redis.asyncio import Redis

from service.job_store import keys
from service.job_store.leases import Leases
from service.settings import Settings
from tests.fakes.door import FrontDoor, front_door
from tests.fakes.images import encoded, noise
from tests.fakes.studio import studio
from tests.fakes.valkey import Valkey
from tests.fakes.worker import FakeWorker

FOX = {"model": "test/test", "prompt": "a fox", "size": "64x64"}
PICTURE = "data:image/png;base64," + b64encode(encoded(noise(64, 48), "PNG")).decode()
MINE = "/v1/jobs/calendar:2027-01"
OURS = "job_p2sh647yf5etqqh9fcz8q7s42v"


@pytest.fixture
async def door(
    shared_valkey: Valkey, redis: Redis, tmp_path: Path
) -> AsyncIterator[FrontDoor]:
    async with front_door(shared_valkey.url, tmp_path) as running:
        yield running


async def test_the_same_put_is_the_same_job_however_often(door):
    answers = await asyncio.gather(
        *(door.call("PUT", MINE, json=FOX) for _ in range(20))
    )

    assert {answer.status for answer in answers} == {202}
    assert len({answer.body["id"] for answer in answers}) == 1
    assert {answer.body["alias"] for answer in answers} == {"calendar:2027-01"}
    replayed = [answer.headers.get("Idempotent-Replayed") for answer in answers]
    assert replayed.count("true") == 19


async def test_another_put_under_the_same_id_is_refused(door):
    await door.call("PUT", MINE, json=FOX)

    other = await door.call("PUT", MINE, json={**FOX, "prompt": "an owl"})

    assert (other.status, other.code) == (422, "idempotency_mismatch")


async def test_an_id_of_ones_own_stands_wherever_the_jobs_does(door):
    made = await door.call("PUT", MINE, json=FOX)

    read = await door.get(MINE)
    canceled = await door.post(f"{MINE}/cancel")
    retried = await door.post(f"{MINE}/retry")
    deleted = await door.call("DELETE", MINE)
    afterwards = await door.get(MINE)

    assert read.body["id"] == canceled.body["id"] == made.body["id"]
    assert retried.body["retry_of"] == made.body["id"]
    assert (deleted.status, afterwards.status) == (204, 410)


async def test_a_deleted_id_may_be_used_again(door):
    first = await door.call("PUT", MINE, json=FOX)
    await door.call("DELETE", MINE)

    second = await door.call("PUT", MINE, json={**FOX, "prompt": "an owl"})

    assert second.status == 202
    assert second.body["id"] != first.body["id"]


async def test_ids_of_one_account_are_nothing_to_another(door):
    await door.call("PUT", MINE, json=FOX)
    _, secret = await door.knows("ada")

    unknown = await door.get("/v1/jobs/nobodys", secret=secret)
    foreign = await door.get(MINE, secret=secret)
    own = await door.call("PUT", MINE, json={**FOX, "prompt": "an owl"}, secret=secret)

    assert (foreign.status, foreign.code) == (404, "not_found")
    assert foreign.body["error"]["message"] == unknown.body["error"]["message"]
    assert own.status == 202


@pytest.mark.parametrize("name", [OURS, "job_mine", "-x", "a b", "a" * 129])
async def test_what_is_no_id_of_ones_own(door, name):
    answer = await door.call("PUT", f"/v1/jobs/{name}", json=FOX)

    assert (answer.status, answer.code) == (400, "invalid_id")


async def test_a_job_under_way_is_not_made_anew(door):
    made = await door.post("/v1/jobs", FOX)

    answer = await door.post(f"/v1/jobs/{made.body['id']}/retry")

    assert (answer.status, answer.code) == (409, "not_finished")


async def test_retries_under_one_key_are_one_job(door):
    made = await door.post("/v1/jobs", {**FOX, "metadata": {"page": "1"}})
    job = f"/v1/jobs/{made.body['id']}"
    await door.post(f"{job}/cancel")

    headers = {"Idempotency_Key": "once"}
    retries = [await door.post(f"{job}/retry", **headers) for _ in range(2)]
    another = await door.post(f"{job}/retry", {})
    changed = await door.post(f"{job}/retry", {"prompt": "an owl"})

    assert retries[0].status == 202, retries[0].raw
    assert retries[0].body["metadata"] == {"page": "1"}
    assert retries[0].body["id"] == retries[1].body["id"] != another.body["id"]
    assert retries[1].headers["Idempotent-Replayed"] == "true"
    assert (changed.status, changed.code) == (400, "unknown_field")


async def test_an_edit_made_anew_outlives_what_it_began_with(door):
    async with studio(door.settings):
        edit = {**FOX, "operation": "edit", "images": [PICTURE]}
        made = await door.post("/v1/jobs", edit)
        await door.get(f"/v1/jobs/{made.body['id']}?wait=20")

        retried = await door.post(f"/v1/jobs/{made.body['id']}/retry")
        await door.call("DELETE", f"/v1/jobs/{made.body['id']}")
        done = await door.get(f"/v1/jobs/{retried.body['id']}?wait=20")

    assert done.body["status"] == "succeeded"
    assert done.body["request"]["images"] == made.body["request"]["images"]


async def test_what_an_ephemeral_job_was_to_draw_is_not_kept(door):
    async with studio(door.settings):
        ephemeral = {**FOX, "response_format": "b64_ephemeral"}
        made = await door.post("/v1/images/generations", ephemeral)

        answer = await door.post(f"/v1/jobs/{made.headers['x-job-id']}/retry")

    assert made.status == 200, made.raw
    assert (answer.status, answer.code) == (409, "request_gone")


async def test_a_model_that_is_there_to_fail_fails_as_soon_as_ever(door, redis):
    async with studio(quick(door.settings)):
        for _ in range(7):
            made = await door.post("/v1/jobs", {**FOX, "model": "test/fail"})
            job = await door.get(f"/v1/jobs/{made.body['id']}?wait=5")
            assert job.body["status"] == "failed"

    assert not await redis.exists(keys.route("test/fail"))


def quick(settings: Settings) -> Settings:
    """Whose workers wait for nothing between attempts."""
    worker = settings.worker.model_copy(update={"retry_base_s": 0})
    return settings.model_copy(update={"worker": worker})


async def test_an_attempt_that_nobody_lived_to_tell_of_is_shown_without_its_time(
    door: FrontDoor, redis: Redis
):
    job = await door.submit()
    dead = Leases(redis, worker="dead", slots=1, lease=timedelta(milliseconds=20))
    await dead.claim(1, held={})
    await dead.aclose()
    await asyncio.sleep(0.05)

    async with FakeWorker(redis, door.images):
        told = (await door.get(f"/v1/jobs/{job['id']}?wait=10")).body

    interrupted, succeeded = told["attempts"]
    assert (interrupted["outcome"], interrupted["ms"]) == ("interrupted", None)
    assert interrupted["started_at"] <= succeeded["started_at"]
    assert (succeeded["outcome"], succeeded["ms"]) == ("succeeded", 1)
