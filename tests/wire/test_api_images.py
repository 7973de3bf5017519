"""`POST /v1/images/generations` and the images behind it."""

import asyncio
import base64
import hashlib
import time

import pytest

from tests.fakes.door import FrontDoor, front_door
from tests.fakes.worker import FakeWorker, failing, never

ROUTE = "/v1/images/generations"
ASK = {"model": "test/test", "prompt": "a fox"}


async def test_caller_waits_and_gets_signed_urls(door: FrontDoor, worker: FakeWorker):
    answer = await door.post(ROUTE, ASK)

    image = answer.body["data"][0]
    bytes_ = await door.get(image["url"], secret=None)
    assert answer.status == 200
    assert answer.body["created"] == pytest.approx(time.time(), abs=5)
    assert answer.body["size"] == "1024x1024"
    assert image["revised_prompt"] == "as drawn"
    assert hashlib.sha256(bytes_.raw).hexdigest() == image["sha256"]
    assert answer.headers["Location"].endswith(answer.headers["x-job-id"])


async def test_base64_comes_when_asked_for(door: FrontDoor, worker: FakeWorker):
    answer = await door.post(ROUTE, {**ASK, "response_format": "b64_json", "n": 2})

    job = (await door.get(answer.headers["Location"])).body
    sums = [
        hashlib.sha256(base64.b64decode(image["b64_json"])).hexdigest()
        for image in answer.body["data"]
    ]
    assert sums == [image["sha256"] for image in job["result"]["data"]]
    assert all("url" not in image for image in answer.body["data"])


@pytest.mark.parametrize(
    ("model", "form"),
    [
        ("gpt-image-1", "b64_json"),
        ("openai/gpt-image-1", "b64_json"),
        ("multiroute-image-latest", "url"),
        ("openai/dall-e-2", "url"),
        ("test/test", "url"),
    ],
)
async def test_default_form_depends_on_the_id_that_was_asked_for(
    door: FrontDoor, worker: FakeWorker, model: str, form: str
):
    answer = await door.post(ROUTE, {"model": model, "prompt": "a fox"})

    assert form in answer.body["data"][0]


async def test_url_wins_over_the_default_when_it_is_explicit(
    door: FrontDoor, worker: FakeWorker
):
    ask = {"model": "gpt-image-1", "prompt": "a fox", "response_format": "url"}

    answer = await door.post(ROUTE, ask)

    assert "b64_json" not in answer.body["data"][0]


async def test_partial_success_holds_what_was_made_and_says_what_was_not(
    door: FrontDoor, worker: FakeWorker
):
    missing = {"code": "provider_bad_output", "message": "1 of 3 images is missing"}
    worker.verdict = lambda lease: worker.make(lease, 2, error=missing)

    answer = await door.post(ROUTE, {**ASK, "n": 3})

    assert answer.status == 200
    assert len(answer.body["data"]) == 2
    assert answer.body["error"] == missing


@pytest.mark.parametrize(
    ("failure", "status", "retry"),
    [
        ("content_policy", 400, "false"),
        ("provider_invalid_request", 400, "false"),
        ("provider_unavailable", 503, None),
        ("provider_throttled", 503, None),
        ("provider_ambiguous", 502, "false"),
        ("provider_bad_output", 502, "false"),
        ("provider_auth", 502, "false"),
        ("poison", 500, "false"),
    ],
)
async def test_failure_is_an_error_that_says_whether_to_retry(
    door: FrontDoor, worker: FakeWorker, failure: str, status: int, retry: str | None
):
    worker.verdict = failing(failure)

    answer = await door.post(ROUTE, ASK)

    assert (answer.status, answer.code) == (status, failure)
    assert answer.headers.get("x-should-retry") == retry
    assert answer.headers["x-job-id"] in answer.headers["Location"]


async def test_caller_who_does_not_want_to_wait_gets_the_job(door: FrontDoor):
    by_header = await door.post(ROUTE, ASK, Prefer="respond-async")
    by_field = await door.post(ROUTE, {**ASK, "async": True})

    for answer in (by_header, by_field):
        assert answer.status == 202
        assert answer.body["status"] == "queued"
        assert answer.body["id"] == answer.headers["x-job-id"]
    assert by_header.headers["Preference-Applied"] == "respond-async"


async def test_caller_with_a_patience_of_his_own_gets_the_job_when_it_ends(
    door: FrontDoor,
):
    answer = await door.post(ROUTE, ASK, Prefer="wait=1")

    assert answer.status == 202
    assert answer.body["object"] == "image.job"
    assert answer.headers["Preference-Applied"] == "wait=1"


async def test_our_patience_ends_in_a_timeout_that_names_the_job(
    shared_valkey, redis, tmp_path
):
    async with front_door(shared_valkey.url, tmp_path, sync_wait_s=0.2) as door:
        answer = await door.post(ROUTE, ASK)

    assert (answer.status, answer.code) == (504, "still_running")
    assert answer.headers["x-should-retry"] == "true"
    assert answer.headers["x-job-id"] in answer.body["error"]["message"]


async def test_job_canceled_while_somebody_waits_is_a_conflict(
    door: FrontDoor, worker: FakeWorker
):
    worker.verdict = never
    call = asyncio.create_task(door.post(ROUTE, ASK))
    while not worker.seen:
        await asyncio.sleep(0.01)

    await door.post(f"/v1/jobs/{worker.seen[0].job_id}/cancel")

    answer = await call
    assert (answer.status, answer.code) == (409, "canceled")
    assert answer.headers["x-should-retry"] == "false"


async def test_waiting_caller_is_served_before_a_batch(door: FrontDoor):
    await door.submit(priority="batch")
    ask = {**ASK, "prompt": "now"}

    answer = await door.post(ROUTE, ask, Prefer="wait=1")

    assert answer.body["queue"]["priority"] == "interactive"


async def test_size_that_was_asked_for_is_reported_beside_the_one_drawn(
    door: FrontDoor, worker: FakeWorker
):
    ask = {"model": "openai/dall-e-3", "prompt": "a fox", "size": "1000x1000"}

    answer = await door.post(ROUTE, ask)

    assert answer.body["requested_size"] == "1000x1000"
    assert answer.body["size"] == "1024x1024"


@pytest.mark.parametrize(
    "asked",
    [
        {"aspect_ratio": "16:9"},
        {"image_config": {"aspect_ratio": "16:9", "image_size": "1K"}},
        {"size": "1344x768"},
    ],
)
async def test_shape_may_be_asked_for_in_three_ways(door: FrontDoor, asked: dict):
    answer = await door.post(ROUTE, {**ASK, **asked}, Prefer="respond-async")

    width, height = answer.body["request"]["size"].split("x")
    assert 1.6 < int(width) / int(height) < 1.9


async def test_field_the_model_cannot_honor_is_dropped_only_when_told(
    door: FrontDoor, worker: FakeWorker
):
    ask = {"model": "openai/dall-e-2", "prompt": "a fox", "seed": 5}

    strict = await door.post(ROUTE, ask)
    lenient = await door.post(ROUTE, {**ask, "strict": False})

    assert (strict.status, strict.code) == (400, "unsupported_field")
    assert strict.body["error"]["param"] == "seed"
    assert lenient.status == 200
    assert [w["param"] for w in lenient.body["warnings"]] == ["seed"]
