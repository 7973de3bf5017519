"""OpenAI's own Python SDK, both its clients, from the prompt to real images."""

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from io import BytesIO
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI, OpenAI
from PIL import Image, ImageChops

from service.accounts import Scope
from service.settings import Worker
from tests.fakes.door import SECRET, FrontDoor, front_door
from tests.fakes.images import encoded
from tests.fakes.studio import studio
from tests.fakes.valkey import Valkey

ASK = {"model": "test/test", "prompt": "a fox", "size": "64x64"}
RED, BLUE = Image.new("RGB", (64, 64), "red"), Image.new("RGB", (64, 64), "blue")


class Sdk:
    """Either client, behind one way to call it."""

    def __init__(self, url: str, *, is_async: bool, secret: str) -> None:
        kind = AsyncOpenAI if is_async else OpenAI
        self._client = kind(base_url=f"{url}/v1", api_key=secret, max_retries=0)
        self._is_async = is_async

    async def __call__(self, method: str, *args: Any, **fields: Any) -> Any:
        """Call `client.{method}`; events and pages come as lists."""
        if self._is_async:
            return await self._awaited(method, args, fields)
        return await asyncio.to_thread(self._called, method, args, fields)

    async def _awaited(self, method: str, args: Any, fields: Any) -> Any:
        called = _method(self._client, method)(*args, **fields)
        if method.endswith(".list"):
            return [item async for item in called]
        answer = await called
        if fields.get("stream"):
            return [event async for event in answer]
        return answer

    def _called(self, method: str, args: Any, fields: Any) -> Any:
        answer = _method(self._client, method)(*args, **fields)
        return list(answer) if fields.get("stream") or "list" in method else answer

    async def close(self) -> None:
        closed = self._client.close()
        if self._is_async:
            await closed


def _method(client: Any, path: str) -> Any:
    for name in path.split("."):
        client = getattr(client, name)
    return client


@pytest.fixture
async def door(shared_valkey: Valkey, redis, tmp_path) -> AsyncIterator[FrontDoor]:
    """A front door with a real worker behind it, which tries everything once."""
    worker = Worker(max_attempts=1)
    async with (
        front_door(shared_valkey.url, tmp_path, worker=worker) as front,
        studio(front.settings),
    ):
        yield front


@asynccontextmanager
async def sdk_of(door: FrontDoor, kind: str, secret: str) -> AsyncIterator[Sdk]:
    client = Sdk(door.url, is_async=kind == "async", secret=secret)
    yield client
    await client.close()


@pytest.fixture(params=["async", "sync"])
def either(request) -> str:
    return request.param


@pytest.fixture
async def sdk(either: str, door: FrontDoor) -> AsyncIterator[Sdk]:
    async with sdk_of(door, either, SECRET) as client:
        yield client


def opened(b64_json: str) -> Image.Image:
    image = Image.open(BytesIO(base64.b64decode(b64_json)))
    image.load()
    return image.convert("RGB")


def file(image: Image.Image, name: str = "image.png") -> tuple[str, bytes]:
    return name, encoded(image, "PNG")


async def test_links_lead_to_images(sdk: Sdk, door: FrontDoor):
    made = await sdk("images.generate", **ASK, response_format="url")

    image = await door.get(made.data[0].url, secret=None)
    assert Image.open(BytesIO(image.raw)).size == (64, 64)


async def test_three_images_are_three(sdk: Sdk):
    made = await sdk("images.generate", **ASK, n=3, response_format="b64_json")

    images = {opened(item.b64_json).tobytes() for item in made.data}
    assert len(images) == 3
    assert made.size == "64x64"


async def test_stream_shows_images_before_they_are_finished(sdk: Sdk):
    came = await sdk("images.generate", **ASK, stream=True, partial_images=2)

    first, second, final = came
    assert first.type == second.type == "image_generation.partial_image"
    assert [first.partial_image_index, second.partial_image_index] == [0, 1]
    assert final.type == "image_generation.completed"
    assert opened(final.b64_json).size == (64, 64)
    assert (final.size, final.quality, final.output_format) == ("64x64", "auto", "png")
    assert final.usage is None


async def test_stream_that_fails_raises(sdk: Sdk):
    with pytest.raises(openai.APIError) as failed:
        await sdk("images.generate", model="test/refuse", prompt="x", stream=True)

    assert failed.value.code == "content_policy"
    assert failed.value.type == "invalid_request_error"


async def test_edit_begins_with_the_image(sdk: Sdk):
    fields = {**ASK, "response_format": "b64_json"}

    red = await sdk("images.edit", image=file(RED), **fields)
    blue = await sdk("images.edit", image=file(BLUE), **fields)

    from_red, from_blue = opened(red.data[0].b64_json), opened(blue.data[0].b64_json)
    assert mean(from_red, "R") > mean(from_blue, "R")
    assert mean(from_red, "B") < mean(from_blue, "B")


async def test_edit_takes_many_images(sdk: Sdk):
    images = [file(RED, "1.png"), file(BLUE, "2.png"), file(RED, "3.png")]

    made = await sdk("images.edit", image=images, **ASK, response_format="b64_json")

    assert opened(made.data[0].b64_json).size == (64, 64)


async def test_mask_says_what_stays(sdk: Sdk):
    mask = Image.new("RGBA", (64, 64), "black")
    mask.paste((0, 0, 0, 0), (0, 0, 32, 64))

    made = await sdk(
        "images.edit",
        image=file(RED),
        mask=file(mask, "mask.png"),
        **ASK,
        response_format="b64_json",
    )

    drawn = opened(made.data[0].b64_json)
    changed = ImageChops.difference(drawn, RED).getbbox()
    assert changed is not None
    assert changed[2] <= 32


async def test_edit_takes_all_that_openai_documents(sdk: Sdk):
    said = {
        "background": "opaque",
        "input_fidelity": "high",
        "output_format": "webp",
        "output_compression": 70,
        "quality": "low",
        "user": "u1",
        "extra_body": {"safety_identifier": "s1"},
    }

    made = await sdk("images.edit", image=file(RED), **ASK, **said)

    jobs = await sdk("get", "/jobs", cast_to=object)
    request = jobs["data"][0]["request"]
    assert (request["input_fidelity"], request["user"]) == ("high", "s1")
    assert (made.output_format, made.quality) == ("webp", "low")


async def test_fidelity_to_no_image_is_refused(sdk: Sdk):
    with pytest.raises(openai.BadRequestError) as refused:
        await sdk("images.generate", **ASK, extra_body={"input_fidelity": "high"})

    assert refused.value.code == "unsupported_field"
    assert refused.value.param == "input_fidelity"


async def test_edits_are_streamed_too(sdk: Sdk):
    came = await sdk(
        "images.edit", image=file(RED), **ASK, stream=True, partial_images=1
    )

    kinds = ["image_edit.partial_image", "image_edit.completed"]
    assert [event.type for event in came] == kinds


@pytest.mark.filterwarnings("ignore:deprecated:DeprecationWarning")  # the SDK's own
async def test_variation_needs_no_prompt(sdk: Sdk):
    made = await sdk("images.create_variation", image=file(RED), model="test/test", n=2)

    assert len(made.data) == 2
    assert made.data[0].url is not None


async def test_job_comes_to_who_asks_for_it(sdk: Sdk):
    job = await sdk("images.generate", **ASK, extra_headers={"Prefer": "respond-async"})

    done = await sdk("get", f"/jobs/{job.id}?wait=20", cast_to=object)

    assert (job.status, job.data) == ("queued", None)
    assert done["status"] == "succeeded"


async def test_models_are_listed_and_found_by_names_with_slashes(sdk: Sdk):
    listed = await sdk("models.list")
    one = await sdk("models.retrieve", "test/test")

    assert "test/test" in [model.id for model in listed]
    assert (one.id, one.object) == ("test/test", "model")


@pytest.mark.parametrize(
    ("fields", "error", "code", "param"),
    [
        ({"n": 0}, openai.BadRequestError, "invalid_n", "n"),
        ({"size": "huge"}, openai.BadRequestError, "invalid_size", "size"),
        ({"prompt": " "}, openai.BadRequestError, "empty_prompt", "prompt"),
        ({"model": "test/refuse"}, openai.BadRequestError, "content_policy", None),
        ({"model": "no/such"}, openai.NotFoundError, "unknown_model", "model"),
        (
            {"model": "test/fail"},
            openai.InternalServerError,
            "provider_unavailable",
            None,
        ),
    ],
)
async def test_refusals_become_exceptions_of_their_class(
    sdk: Sdk, fields: dict, error: type[openai.APIStatusError], code: str, param: str
):
    with pytest.raises(error) as refused:
        await sdk("images.generate", **{**ASK, **fields})

    assert (refused.value.code, refused.value.param) == (code, param)
    assert refused.value.request_id.startswith("req_")


async def test_images_that_are_none_become_a_bad_request(sdk: Sdk):
    with pytest.raises(openai.BadRequestError) as refused:
        await sdk("images.edit", image=("image.png", b"not an image"), **ASK)

    assert (refused.value.code, refused.value.param) == ("unsupported_image", "image")


async def test_edit_without_an_image_is_a_bad_request(sdk: Sdk):
    with pytest.raises(openai.BadRequestError) as refused:
        await sdk("images.edit", image=[], **ASK)

    assert (refused.value.code, refused.value.param) == ("missing_field", "image")


async def test_name_for_another_request_becomes_unprocessable(sdk: Sdk):
    named = {"extra_headers": {"Idempotency-Key": "once"}}
    await sdk("images.generate", **ASK, **named)

    with pytest.raises(openai.UnprocessableEntityError) as refused:
        await sdk("images.generate", **{**ASK, "prompt": "a hen"}, **named)

    assert refused.value.code == "idempotency_mismatch"


async def test_job_canceled_under_its_caller_becomes_a_conflict(
    sdk: Sdk, door: FrontDoor
):
    ask = {**ASK, "model": "test/slow-30"}
    waiting = asyncio.create_task(sdk("images.generate", **ask))
    async with asyncio.timeout(10):
        while not (jobs := (await door.get("/v1/jobs?status=running")).body["data"]):
            await asyncio.sleep(0.02)

    await door.post(f"/v1/jobs/{jobs[0]['id']}/cancel")

    with pytest.raises(openai.ConflictError) as refused:
        await waiting
    assert refused.value.code == "canceled"


@pytest.mark.parametrize(
    ("grant", "error", "code", "param"),
    [
        ({}, openai.AuthenticationError, "invalid_key", None),
        (
            {"models": ("test/slow-1",)},
            openai.PermissionDeniedError,
            "model_not_allowed",
            "model",
        ),
        (
            {"scopes": frozenset({Scope.EMBED})},
            openai.PermissionDeniedError,
            "key_scope",
            None,
        ),
        ({"quota_units": 0}, openai.RateLimitError, "quota_exceeded", None),
    ],
)
async def test_keys_that_may_not_become_exceptions_of_their_class(
    door: FrontDoor, either: str, grant: dict, error: type, code: str, param: str
):
    _, secret = await door.knows("ada", **grant)
    async with sdk_of(door, either, secret if grant else "sk_nobody") as sdk:
        with pytest.raises(error) as refused:
            await sdk("images.generate", **ASK)

    assert (refused.value.code, refused.value.param) == (code, param)


async def test_too_many_requests_become_a_rate_limit(door: FrontDoor, either: str):
    _, secret = await door.knows("ada", requests_per_minute=1)
    async with sdk_of(door, either, secret) as sdk:
        await sdk("images.generate", **ASK)
        with pytest.raises(openai.RateLimitError) as refused:
            await sdk("images.generate", **ASK)

    assert refused.value.code == "rate_limited"
    assert 0 < float(refused.value.response.headers["Retry-After"]) <= 60


def mean(image: Image.Image, channel: str) -> float:
    histogram = image.getchannel(channel).histogram()
    return sum(value * count for value, count in enumerate(histogram)) / (64 * 64)
