"""The fake of OpenAI is faithful: OpenAI's own SDK takes it for the real one."""

import asyncio
import base64
import json
import sys
from datetime import timedelta
from io import BytesIO

import aiohttp
import openai
import pytest
from PIL import Image

from tests.fakes.images import encoded
from tests.fakes.openai_upstream import KEY, OpenAIUpstream


@pytest.fixture
async def upstream(tmp_path):
    async with OpenAIUpstream(ledger=tmp_path / "ledger") as running:
        yield running


@pytest.fixture
async def sdk(upstream):
    async with openai.AsyncOpenAI(
        base_url=upstream.base_url, api_key=KEY, max_retries=0
    ) as client:
        yield client


def opened(data: bytes) -> Image.Image:
    image = Image.open(BytesIO(data))
    image.load()
    return image


@pytest.fixture
async def process(tmp_path):
    """The fake as a process of its own, as the chaos driver starts it."""
    command = ["-m", "tests.fakes.openai_upstream", "--ledger", tmp_path / "ledger"]
    running = await asyncio.create_subprocess_exec(
        sys.executable, *command, "--thumbnails", stdout=asyncio.subprocess.PIPE
    )
    yield running
    if running.returncode is None:
        running.kill()
        await running.wait()


@pytest.mark.parametrize("image_format", ["png", "jpeg", "webp"])
async def test_the_sdk_gets_images_of_the_format_and_size_it_asks_for(
    sdk, image_format
):
    answer = await sdk.images.generate(
        model="gpt-image-1",
        prompt="a blue cube",
        n=2,
        size="1536x1024",
        output_format=image_format,
    )

    images = [base64.b64decode(item.b64_json) for item in answer.data]
    assert {opened(data).size for data in images} == {(1536, 1024)}
    assert {opened(data).format for data in images} == {image_format.upper()}
    assert images[0] != images[1]
    assert answer.usage.total_tokens == 554


async def test_the_sdk_gets_links_from_dall_e(sdk, upstream):
    answer = await sdk.images.generate(model="dall-e-3", prompt="a cat")

    assert answer.data[0].url.startswith(f"{upstream.origin}/images/")
    assert answer.data[0].revised_prompt == "In detail: a cat"


@pytest.mark.parametrize(
    ("fields", "param", "code"),
    [
        ({"prompt": ""}, "prompt", "missing_required_parameter"),
        ({"model": "gpt-4"}, "model", "invalid_value"),
        ({"size": "512x512"}, "size", "invalid_value"),
        ({"n": 11}, "n", "invalid_value"),
        ({"quality": "hd"}, "quality", "invalid_value"),
        ({"response_format": "b64_json"}, "response_format", "unknown_parameter"),
        ({"extra_body": {"seed": 1}}, "seed", "unknown_parameter"),
        ({"model": "dall-e-3", "n": 2}, "n", "invalid_value"),
        (
            {"model": "dall-e-2", "background": "auto"},
            "background",
            "unknown_parameter",
        ),
        ({"model": "gpt-image-2", "size": "1000x1000"}, "size", "invalid_value"),
    ],
)
async def test_the_sdk_is_told_what_is_wrong(sdk, fields, param, code):
    with pytest.raises(openai.BadRequestError) as refusal:
        await sdk.images.generate(**{"model": "gpt-image-1", "prompt": "x"} | fields)

    assert (refusal.value.param, refusal.value.code) == (param, code)


async def test_the_sdk_is_refused_without_the_right_key(sdk):
    with pytest.raises(openai.AuthenticationError) as refusal:
        await sdk.with_options(api_key="sk-other").images.generate(prompt="x")

    assert refusal.value.code == "invalid_api_key"


@pytest.mark.parametrize(
    ("fault", "kind", "code"),
    [
        ("throttled:7", openai.RateLimitError, "rate_limit_exceeded"),
        ("unpaid", openai.RateLimitError, "insufficient_quota"),
        ("unauthorized", openai.AuthenticationError, "invalid_api_key"),
        ("rejected", openai.BadRequestError, "moderation_blocked"),
        ("status:500", openai.InternalServerError, None),
        ("html:502", openai.InternalServerError, None),
        ("reset", openai.APIConnectionError, None),
    ],
)
async def test_the_sdk_knows_every_error(sdk, upstream, fault, kind, code):
    upstream.fail_with(fault)

    with pytest.raises(kind) as failure:
        await sdk.images.generate(model="gpt-image-1", prompt="x")

    assert failure.value.code == code


async def test_a_fault_is_used_once(sdk, upstream):
    upstream.fail_with("status:500")

    with pytest.raises(openai.InternalServerError):
        await sdk.images.generate(model="gpt-image-1", prompt="x")

    assert (await sdk.images.generate(model="gpt-image-1", prompt="x")).data


async def test_the_ledger_has_a_line_at_receipt_and_one_when_drawn(
    sdk, upstream, tmp_path
):
    upstream.fail_with("status:500")

    with pytest.raises(openai.InternalServerError):
        await sdk.images.generate(model="gpt-image-1", prompt="lost")
    await sdk.images.generate(model="gpt-image-1", prompt="dröwn", n=2)

    lines = map(json.loads, (tmp_path / "ledger").read_text("utf-8").splitlines())
    assert [(line["event"], line["prompt"], line["n"]) for line in lines] == [
        ("received", "lost", 1),
        ("failed", "lost", 1),
        ("received", "dröwn", 2),
        ("answered", "dröwn", 2),
    ]


async def test_what_nobody_waits_for_any_more_is_drawn_all_the_same(tmp_path):
    ledger, latency = tmp_path / "slow", timedelta(seconds=0.2)
    async with (
        OpenAIUpstream(ledger=ledger, latency=latency) as upstream,
        openai.AsyncOpenAI(base_url=upstream.base_url, api_key=KEY) as sdk,
    ):
        call = asyncio.create_task(sdk.images.generate(model="gpt-image-1", prompt="x"))
        await upstream.called.wait()

        call.cancel()
        await upstream.drawn.wait()

    assert "answered" in ledger.read_text()


async def test_faults_may_be_asked_for_over_http(sdk, upstream):
    async with aiohttp.ClientSession() as session:
        await session.post(
            f"{upstream.origin}/control/faults", json={"faults": ["unpaid"]}
        )

    with pytest.raises(openai.RateLimitError):
        await sdk.images.generate(model="gpt-image-1", prompt="x")


async def test_the_fake_runs_as_a_process_of_its_own(process, sdk, tmp_path):
    base_url = (await process.stdout.readline()).decode().strip()

    answer = await sdk.with_options(base_url=base_url).images.generate(
        model="gpt-image-1", prompt="far away", size="1536x1024"
    )
    process.terminate()

    assert await process.wait() == 0
    assert opened(base64.b64decode(answer.data[0].b64_json)).size == (182, 182)
    assert len((tmp_path / "ledger").read_text().splitlines()) == 2


def picture(image_format: str = "PNG", side: int = 64, mode: str = "RGB") -> BytesIO:
    file = BytesIO(encoded(Image.new(mode, (side, side)), image_format))
    file.name = f"picture.{image_format.lower()}"
    return file


async def test_the_sdk_edits_one_image(sdk, upstream):
    answer = await sdk.images.edit(
        model="gpt-image-1", image=picture("JPEG"), prompt="a hat", n=2, size="auto"
    )

    assert len(answer.data) == 2
    [[file]] = upstream.files
    assert (file.name, file.content_type) == ("image", "image/jpeg")
    assert upstream.requests[0]["n"] == 2


async def test_the_sdk_edits_many_images_with_a_mask(sdk, upstream):
    await sdk.images.edit(
        model="gpt-image-1",
        image=[picture(), picture("WEBP")],
        mask=picture(mode="RGBA"),
        prompt="a hat",
    )

    assert [file.name for file in upstream.files[0]] == ["image[]", "image[]", "mask"]


async def test_the_sdk_gets_variations_from_dall_e(sdk, upstream):
    with pytest.deprecated_call():
        answer = await sdk.images.create_variation(
            model="dall-e-2", image=picture(), n=2, size="256x256"
        )

    assert [item.url.startswith(upstream.origin) for item in answer.data] == [True] * 2


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"model": "dall-e-3"}, "invalid_value"),
        ({"model": "dall-e-2", "image": picture("WEBP")}, "invalid_image"),
        ({"model": "dall-e-2", "image": [picture(), picture()]}, "invalid_value"),
        ({"image": [picture() for _ in range(17)]}, "invalid_value"),
        ({"mask": picture()}, "invalid_image"),
        ({"mask": picture(mode="RGBA", side=32)}, "invalid_image"),
        ({"extra_body": {"moderation": "low"}}, "unknown_parameter"),
        ({"image": ("x.png", b"<html>", "image/png")}, "invalid_image"),
    ],
)
async def test_what_openai_would_not_edit_is_refused(sdk, fields, code):
    fields = {"model": "gpt-image-1", "image": picture(), "prompt": "a hat", **fields}

    with pytest.raises(openai.BadRequestError) as refusal:
        await sdk.images.edit(**fields)

    assert refusal.value.code == code


async def test_only_dall_e_2_makes_variations(sdk):
    with pytest.deprecated_call(), pytest.raises(openai.BadRequestError) as refusal:
        await sdk.images.create_variation(model="gpt-image-1", image=picture())

    assert refusal.value.code == "invalid_value"
