"""ImageRouter's unified endpoint, at both of its addresses."""

import asyncio
import base64
import hashlib
import time
from io import BytesIO
from pathlib import Path

import aiohttp
import pytest
from aiohttp import FormData
from openai import AsyncOpenAI, BadRequestError
from PIL import Image
from redis.asyncio import Redis

from tests.fakes.door import SECRET, FrontDoor, front_door
from tests.fakes.pictures import draw
from tests.fakes.valkey import Valkey
from tests.fakes.worker import FakeWorker, failing

GENERATIONS = "/v1/openai/images/generations"
EDITS = "/v1/openai/images/edits"
ASK = {"model": "test/test", "prompt": "a fox"}

JSON = "application/json"
INVALID = "invalid_request_error"
MEDIA_TYPE = "unsupported_media_type"

at_both = pytest.mark.parametrize("route", [GENERATIONS, EDITS])


def form(*images: tuple[str, bytes], **fields: str) -> FormData:
    """Return what curl sends for `-F`, files under the names they are paired with."""
    data = FormData(default_to_multipart=True)
    for name, value in {**ASK, **fields}.items():
        data.add_field(name, value)
    for name, picture in images:
        data.add_field(name, picture, filename="a.png", content_type="image/png")
    return data


@at_both
async def test_caller_who_says_little_gets_a_link_to_a_webp(
    door: FrontDoor, worker: FakeWorker, route: str
):
    answer = await door.post(route, ASK)

    job = (await door.get(answer.headers["Location"])).body
    assert answer.status == 200
    assert answer.body["data"][0]["url"].startswith("http")
    assert "b64_json" not in answer.body["data"][0]
    assert job["request"]["output_format"] == "webp"
    assert job["request"]["size"] == "1024x1024"
    assert job["request"]["requested_size"] is None


async def test_null_is_unsaid(door: FrontDoor, worker: FakeWorker):
    ask = {**ASK, "output_format": None, "response_format": None, "size": None}

    answer = await door.post(GENERATIONS, ask)

    assert "url" in answer.body["data"][0]
    assert answer.body["output_format"] == "webp"


async def test_link_is_the_default_even_for_models_that_sdks_read_base64_from(
    door: FrontDoor, worker: FakeWorker
):
    answer = await door.post(GENERATIONS, {**ASK, "model": "gpt-image-1"})

    assert "url" in answer.body["data"][0]


async def test_base64_comes_when_asked_for(door: FrontDoor, worker: FakeWorker):
    ask = {**ASK, "response_format": "b64_json", "n": 2}

    answer = await door.post(GENERATIONS, ask)

    images = [base64.b64decode(image["b64_json"]) for image in answer.body["data"]]
    assert len(set(images)) == 2


@at_both
async def test_ephemeral_images_are_inline_and_then_nowhere(
    door: FrontDoor, worker: FakeWorker, route: str
):
    answer = await door.post(route, {**ASK, "response_format": "b64_ephemeral"})

    job_id = answer.headers["x-job-id"]
    async with asyncio.timeout(5):
        while await door.images.list(f"jobs/{job_id}/"):
            await asyncio.sleep(0.01)
    job = await door.get(f"/v1/jobs/{job_id}")
    assert base64.b64decode(answer.body["data"][0]["b64_json"]).startswith(b"\x89PNG")
    assert ASK["prompt"].encode() not in job.raw


async def test_failure_amid_a_stream_is_in_its_words(
    shared_valkey: Valkey, redis: Redis, tmp_path: Path
):
    has_begun = asyncio.Event()

    async def fail(lease):
        await has_begun.wait()
        return await failing("provider_bad_output")(lease)

    async with (
        front_door(shared_valkey.url, tmp_path, heartbeat_s=0.1) as door,
        FakeWorker(redis, door.images) as worker,
        aiohttp.ClientSession(headers={"Authorization": f"Bearer {SECRET}"}) as http,
    ):
        worker.verdict = fail
        asked = {**ASK, "stream": True}
        async with http.post(door.url + GENERATIONS, json=asked) as answer:
            has_begun.set()
            came = await answer.read()

    assert answer.status == 200
    assert b'"type":"internal_error"' in came


@at_both
async def test_answer_tells_how_long_it_took_and_what_it_cost(
    door: FrontDoor, worker: FakeWorker, route: str
):
    worker.verdict = lambda lease: worker.make(lease, 1, cost_usd="0.004")

    answer = await door.post(route, ASK)

    assert 0 <= answer.body["latency"] < 5_000
    assert answer.body["cost"] == 0.004
    assert answer.body["created"] == pytest.approx(time.time(), abs=5)


async def test_revised_prompt_is_there_even_when_nothing_was_revised(
    door: FrontDoor, worker: FakeWorker
):
    answer = await door.post(GENERATIONS, ASK)

    assert "revised_prompt" in answer.body["data"][0]


@pytest.mark.parametrize(
    ("given", "meant"),
    [("640X480", "640x480"), ("640*480", "640x480"), ("auto", "1024x1024")],
)
async def test_size_may_be_written_as_people_do(
    door: FrontDoor, worker: FakeWorker, given: str, meant: str
):
    answer = await door.post(GENERATIONS, {**ASK, "size": given})

    assert answer.body["size"] == meant


async def test_format_may_be_written_in_capitals(door: FrontDoor, worker: FakeWorker):
    answer = await door.post(GENERATIONS, {**ASK, "output_format": "JPG"})

    assert answer.body["output_format"] == "jpeg"


@at_both
async def test_fields_that_nobody_knows_are_ignored(
    door: FrontDoor, worker: FakeWorker, route: str
):
    answer = await door.post(route, {**ASK, "tenant_id": 5, "__proto__": {}})

    assert answer.status == 200


async def test_field_the_model_does_not_know_is_left_out_and_named(
    door: FrontDoor, worker: FakeWorker
):
    ask = {**ASK, "model": "openai/dall-e-2", "quality": "high"}

    answer = await door.post(GENERATIONS, ask)
    strict = await door.post(GENERATIONS, {**ask, "strict": True})

    assert answer.status == 200
    assert [w["param"] for w in answer.body["warnings"]] == ["quality"]
    assert (strict.status, strict.code) == (400, "unsupported_field")


@at_both
async def test_caller_who_does_not_want_to_wait_gets_the_job(
    door: FrontDoor, route: str
):
    answer = await door.post(route, ASK, Prefer="respond-async")

    assert answer.status == 202
    assert answer.body["object"] == "image.job"


@at_both
@pytest.mark.parametrize(
    ("sent", "status", "kind", "code"),
    [
        ({"json": {**ASK, "model": "no/body"}}, 400, INVALID, "unknown_model"),
        ({"json": {"model": "test/test"}}, 400, INVALID, "missing_field"),
        ({"json": {"prompt": "a fox"}}, 400, INVALID, "missing_field"),
        ({"json": {**ASK, "quality": "best"}}, 400, INVALID, "invalid_enum"),
        ({"json": {**ASK, "size": "big"}}, 400, INVALID, "invalid_size"),
        ({"json": {**ASK, "n": 0}}, 400, INVALID, "invalid_n"),
        ({"json": [ASK]}, 400, INVALID, "body_not_object"),
        ({"data": b"{", "Content_Type": JSON}, 400, INVALID, "invalid_json"),
        ({"data": b"x", "Content_Type": "text/plain"}, 415, INVALID, MEDIA_TYPE),
        ({"json": ASK, "secret": None}, 401, "unauthorized", "missing_key"),
        ({"json": ASK, "secret": "sk_wrong"}, 401, "unauthorized", "invalid_key"),
    ],
)
async def test_refusals_are_in_its_words_beside_our_code(
    door: FrontDoor, route: str, sent: dict, status: int, kind: str, code: str
):
    answer = await door.post(route, **sent)

    assert (answer.status, answer.code) == (status, code)
    assert answer.body["error"]["type"] == kind
    assert answer.body["error"]["message"]


async def test_limits_of_a_key_are_in_its_words(door: FrontDoor):
    _, poor = await door.knows("ada", quota_units=1)
    _, narrow = await door.knows("bob", models=frozenset({"gpt-image-1"}))

    too_much = await door.post(GENERATIONS, ASK, secret=poor)
    not_his = await door.post(GENERATIONS, ASK, secret=narrow)

    assert (too_much.status, too_much.code) == (429, "quota_exceeded")
    assert too_much.body["error"]["type"] == "rate_limit_error"
    assert (not_his.status, not_his.code) == (403, "model_not_allowed")
    assert not_his.body["error"]["type"] == "access_denied"


@pytest.mark.parametrize(
    ("failure", "status", "kind"),
    [
        ("content_policy", 400, "invalid_request_error"),
        ("provider_unavailable", 503, "internal_error"),
        ("provider_bad_output", 502, "internal_error"),
    ],
)
async def test_failures_are_in_its_words_and_never_under_a_200(
    door: FrontDoor, worker: FakeWorker, failure: str, status: int, kind: str
):
    worker.verdict = failing(failure)

    answer = await door.post(GENERATIONS, ASK)

    assert (answer.status, answer.code) == (status, failure)
    assert answer.body["error"]["type"] == kind


@at_both
async def test_form_without_an_image_is_text_to_image(
    door: FrontDoor, worker: FakeWorker, route: str
):
    answer = await door.post(route, data=form(quality="high", size="640x480", n="2"))

    assert answer.status == 200
    assert len(answer.body["data"]) == 2
    [lease] = worker.seen
    assert (lease.request.operation, lease.request.quality) == ("generate", "high")
    assert (lease.request.size, lease.request.output_format) == ("640x480", "webp")


@at_both
@pytest.mark.parametrize("name", ["image", "image[]"])
async def test_form_with_images_edits_them(
    door: FrontDoor, worker: FakeWorker, route: str, name: str
):
    pictures = [draw(text, width=16, height=16) for text in ("one", "two", "three")]

    answer = await door.post(route, data=form(*((name, p) for p in pictures)))

    assert answer.status == 200
    [lease] = worker.seen
    assert lease.request.operation == "edit"
    assert [i.sha256 for i in lease.request.images] == [
        hashlib.sha256(picture).hexdigest() for picture in pictures
    ]


async def test_mask_says_where_an_image_may_change(door: FrontDoor, worker: FakeWorker):
    mask = Image.new("RGBA", (16, 16))
    picture = draw("a fox", width=16, height=16)

    answer = await door.post(
        EDITS, data=form(("image[]", picture), ("mask[]", png(mask)))
    )

    assert answer.status == 200
    assert worker.seen[0].request.mask is not None


def png(image: Image.Image) -> bytes:
    file = BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


@at_both
async def test_image_may_stand_in_json_as_a_data_url(
    door: FrontDoor, worker: FakeWorker, route: str
):
    picture = draw("a fox", width=16, height=16)
    link = "data:image/png;base64," + base64.b64encode(picture).decode()

    answer = await door.post(route, {**ASK, "image": link})

    assert answer.status == 200
    assert worker.seen[0].request.operation == "edit"


async def test_unknown_fields_of_a_form_are_ignored_too(
    door: FrontDoor, worker: FakeWorker
):
    answer = await door.post(EDITS, data=form(tenant_id="5"))

    assert answer.status == 200


@pytest.mark.parametrize(
    ("sent", "status", "code"),
    [
        (form(("mask[]", b"?")), 400, "missing_field"),
        (form(("image[]", b"<svg/>")), 400, "unsupported_image"),
        (form(*[("image[]", b"?")] * 17), 400, "too_many_images"),
        (form(n="two"), 400, "invalid_n"),
        (form(model="no/body"), 400, "unknown_model"),
    ],
)
async def test_form_that_is_wrong_is_refused_in_its_words(
    door: FrontDoor, sent: FormData, status: int, code: str
):
    answer = await door.post(EDITS, data=sent)

    assert (answer.status, answer.code) == (status, code)
    assert answer.body["error"]["type"] == INVALID


async def test_openai_sdk_may_be_pointed_here(door: FrontDoor, worker: FakeWorker):
    picture = ("fox.png", draw("a fox", width=16, height=16), "image/png")

    async with AsyncOpenAI(base_url=f"{door.url}/v1/openai", api_key=SECRET) as client:
        made = await client.images.generate(**ASK)
        edited = await client.images.edit(**ASK, image=[picture, picture])
        with pytest.raises(BadRequestError) as refused:
            await client.images.generate(model="no/body", prompt="a fox")

    assert made.data[0].url.startswith("http")
    assert edited.data[0].url.startswith("http")
    assert refused.value.code == "unknown_model"
