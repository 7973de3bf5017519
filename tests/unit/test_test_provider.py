"""The provider that needs none: its pictures, and its ways to go wrong."""

import asyncio
import os
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from PIL import ExifTags

from service.core.catalog import ProviderEntry
from service.core.errors import (
    BadImage,
    PromptRejected,
    ProviderError,
    ProviderRefused,
    ProviderThrottled,
    ProviderUnavailable,
)
from service.core.provider import Call, Generated
from service.core.requests import GenerationRequest
from service.imaging.decoding import check
from service.outbound import Outbound
from service.settings import Outbound as Rules
from tests.fakes.images import decoded
from workers.providers._drawing import draw
from workers.providers.test import POISON, TestProvider

REQUEST = GenerationRequest(
    model="test/test", prompt="a lighthouse", width=256, height=128
)
FORMATS = ("png", "jpeg", "webp")
PROMPTS = {
    "plain": "a lighthouse at dusk",
    "quotes": '"Hello", she said; it\'s `fine` \\ <b>&amp;</b>',
    "other scripts": "灯台 маяк φάρος منارة प्रकाशस्तंभ naïve 🗼🏽",
    "line breaks": "first\nsecond\r\n\tthird\x0b\x0cfourth\u2028fifth",
    "control characters": "a\x00b\x1b[31mc\x7fd\u202ee\ufefff",
    "lone surrogate": "half of \ud83d a pair",
    "nothing to see": " \n\t ",
    "one long word": "l" * 500,
    "longest": "灯" * 32_000,
}


def provider() -> TestProvider:
    return TestProvider(
        ProviderEntry(name="test", adapter="test"), Outbound(Rules()), None
    )


async def generated(model: str, *, attempt: int = 1, n: int = 1) -> Generated:
    request = replace(REQUEST, n=n)
    return await provider().generate(request, model=model, call=Call(attempt=attempt))


async def refused(model: str, *, attempt: int = 1) -> ProviderError:
    with pytest.raises(ProviderError) as refusal:
        await generated(model, attempt=attempt)
    return refusal.value


@pytest.mark.parametrize("output_format", FORMATS)
@pytest.mark.parametrize("size", [(256, 128), (16, 16), (16, 4096), (1999, 17)])
def test_the_picture_is_of_the_size_and_kind_asked_for(
    size: tuple[int, int], output_format: str
):
    width, height = size
    request = replace(REQUEST, width=width, height=height, output_format=output_format)

    facts = check(draw(request, 0))

    assert (facts.width, facts.height) == size
    assert facts.content_type == f"image/{output_format}"


@pytest.mark.parametrize("output_format", FORMATS)
@pytest.mark.parametrize("name", PROMPTS)
def test_any_prompt_can_be_drawn(name: str, output_format: str):
    request = replace(REQUEST, prompt=PROMPTS[name], output_format=output_format)

    assert check(draw(request, 0)).width == 256


@pytest.mark.parametrize("name", sorted(PROMPTS.keys() - {"lone surrogate"}))
def test_a_png_carries_its_prompt_whole(name: str):
    request = replace(REQUEST, prompt=PROMPTS[name])

    assert decoded(draw(request, 0)).info["prompt"] == PROMPTS[name]


@pytest.mark.parametrize("output_format", ["jpeg", "webp"])
@pytest.mark.parametrize("name", ["plain", "quotes", "other scripts", "longest"])
def test_other_kinds_carry_as_much_of_it_as_they_can(name: str, output_format: str):
    request = replace(REQUEST, prompt=PROMPTS[name], output_format=output_format)

    exif = decoded(draw(request, 0)).getexif()

    description = exif[ExifTags.Base.ImageDescription].encode("latin-1").decode()
    assert description == PROMPTS[name][:20_000]


def test_the_prompt_can_be_read_in_the_picture():
    silent = decoded(draw(replace(REQUEST, prompt=" "), 0)).convert("L")
    spoken = decoded(draw(REQUEST, 0)).convert("L")

    assert max(silent.tobytes()) < 128
    assert sum(shade > 200 for shade in spoken.tobytes()) > 500


@pytest.mark.parametrize("output_format", FORMATS)
def test_every_prompt_seed_and_place_has_a_picture_of_its_own(output_format: str):
    request = replace(REQUEST, output_format=output_format)

    pictures = {
        decoded(draw(replace(request, prompt=prompt, seed=seed), index)).tobytes()
        for prompt in ("a lighthouse", "a Lighthouse", "a lighthouse ")
        for seed in (None, 0, 1)
        for index in (0, 1)
    }

    assert len(pictures) == 3 * 3 * 2


@pytest.mark.parametrize("output_format", FORMATS)
@pytest.mark.parametrize("seed", [None, 7])
def test_the_same_request_gives_the_same_bytes(output_format: str, seed: int | None):
    request = replace(REQUEST, output_format=output_format, seed=seed)

    assert draw(request, 0) == draw(request, 0)


def test_compression_is_quality():
    sizes = [
        len(draw(replace(REQUEST, output_format=kind, output_compression=quality), 0))
        for kind in ("jpeg", "webp")
        for quality in (0, 100)
    ]

    assert sizes[0] < sizes[1]
    assert sizes[2] < sizes[3]


async def test_all_images_come_at_once_and_cost_nothing():
    made = await generated("test", n=3)

    assert len({image.data for image in made.images}) == 3
    assert made.cost_usd == 0


@pytest.mark.parametrize("model", ["slow-0", "slow-0.05"])
async def test_slow_waits_as_long_as_its_name_says(model: str):
    loop = asyncio.get_running_loop()
    begun = loop.time()

    await generated(model)

    assert loop.time() - begun >= float(model.removeprefix("slow-"))


async def test_slow_can_be_canceled():
    waiting = asyncio.create_task(generated("slow-600"))
    await asyncio.sleep(0)

    waiting.cancel()

    with pytest.raises(asyncio.CancelledError):
        await waiting


@pytest.mark.parametrize(
    "model",
    ["", "unknown", "slow-", "slow-601", "slow-nan", "slow--1", "slow-1e3", "Test"],
)
async def test_a_model_that_does_not_exist_is_refused(model: str):
    error = await refused(model)

    assert isinstance(error, ProviderRefused)
    assert error.code == "provider_invalid_request"


@pytest.mark.parametrize("attempt", [1, 2, 3])
async def test_fail_always_fails(attempt: int):
    error = await refused("fail", attempt=attempt)

    assert type(error) is ProviderUnavailable


async def test_flaky_fails_at_odd_attempts_only():
    first = await refused("flaky", attempt=1)
    second = await generated("flaky", attempt=2)
    third = await refused("flaky", attempt=3)

    assert type(first) is type(third) is ProviderUnavailable
    assert len(second.images) == 1


async def test_rate_limited_asks_for_a_second_and_then_gives_in():
    first = await refused("rate-limited", attempt=1)
    second = await generated("rate-limited", attempt=2)

    assert isinstance(first, ProviderThrottled)
    assert first.retry_after == timedelta(seconds=1)
    assert len(second.images) == 1


async def test_refuse_rejects_every_prompt():
    assert isinstance(await refused("refuse"), PromptRejected)


@pytest.mark.parametrize("output_format", FORMATS)
async def test_a_half_image_looks_like_one_and_is_none(output_format: str):
    request = replace(REQUEST, output_format=output_format)

    made = await provider().generate(request, model="half-image", call=Call())

    with pytest.raises(BadImage) as refusal:
        check(made.images[0].data)
    assert refusal.value.code == "invalid_image"


async def test_poison_harms_nobody_who_did_not_ask(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv(POISON, raising=False)

    assert isinstance(await refused("poison"), ProviderRefused)


def test_poison_kills_the_process_of_who_did():
    script = (
        "import asyncio; from tests.unit.test_test_provider import generated; "
        "asyncio.run(generated('poison'))"
    )

    ran = subprocess.run(
        [sys.executable, "-c", script],
        cwd=Path(__file__).parents[2],
        env={**os.environ, POISON: "1"},
        check=False,
    )

    assert ran.returncode == -9
