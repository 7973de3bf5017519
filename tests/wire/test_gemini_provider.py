"""What only Gemini does: one image a call, reasons under a 200, delays in details."""

from dataclasses import replace
from datetime import timedelta

import pytest

from service.core.errors import BadOutput, PromptRejected, ProviderThrottled
from service.core.provider import Call
from tests.fakes.pictures import draw
from tests.fakes.upstreams.calling import (
    INPUT,
    OTHER,
    REQUEST,
    refused,
    speaking_to,
)
from tests.fakes.upstreams.gemini import GeminiFake

PRO, FLASH = "gemini-3-pro-image", "gemini-2.5-flash-image"


@pytest.mark.parametrize(
    ("width", "height", "shape"),
    [
        (1024, 1024, {"aspectRatio": "1:1", "imageSize": "1K"}),
        (2688, 1536, {"aspectRatio": "16:9", "imageSize": "2K"}),
        (3072, 5504, {"aspectRatio": "9:16", "imageSize": "4K"}),
    ],
)
async def test_a_size_becomes_a_ratio_and_a_tier(width, height, shape):
    async with speaking_to(GeminiFake()) as (upstream, provider):
        request = replace(REQUEST, width=width, height=height)
        await provider.generate(request, model=PRO, call=Call())

    config = upstream.calls[0].fields["generationConfig"]
    assert config["imageConfig"] == shape


async def test_the_models_of_one_size_are_not_told_a_tier():
    async with speaking_to(GeminiFake()) as (upstream, provider):
        await provider.generate(REQUEST, model=FLASH, call=Call())

    config = upstream.calls[0].fields["generationConfig"]
    assert config["imageConfig"] == {"aspectRatio": "1:1"}


async def test_images_stand_before_the_words_that_speak_of_them():
    async with speaking_to(GeminiFake()) as (upstream, provider):
        call = Call(images=[INPUT, OTHER])
        await provider.generate(REQUEST, model=PRO, call=call)

    [content] = upstream.calls[0].fields["contents"]
    kinds = [part.get("inlineData", {}).get("mimeType") for part in content["parts"]]
    assert kinds == ["image/png", "image/jpeg", None]


async def test_calls_are_made_at_once_and_their_tokens_added():
    async with speaking_to(GeminiFake(takes=timedelta(seconds=0.2))) as (
        upstream,
        provider,
    ):
        made = await provider.generate(replace(REQUEST, n=3), model=PRO, call=Call())

    assert upstream.most_at_once == 3
    assert made.usage == {
        "input_tokens": 21,
        "output_tokens": 3870,
        "total_tokens": 3891,
    }
    assert made.upstream_id == upstream.calls[0].id


async def test_one_refusal_among_images_leaves_the_images():
    async with speaking_to(GeminiFake()) as (upstream, provider):
        upstream.fail_with("rejected")
        made = await provider.generate(replace(REQUEST, n=2), model=PRO, call=Call())

    assert len(made.images) == 1


async def test_a_picture_that_was_held_back_is_a_refusal():
    async with speaking_to(GeminiFake()) as (upstream, provider):
        upstream.fail_with("image_safety")
        error = await refused(provider.generate(REQUEST, model=PRO, call=Call()))

    assert isinstance(error, PromptRejected)


async def test_a_model_that_preferred_to_write_made_no_image_and_is_paid():
    async with speaking_to(GeminiFake()) as (upstream, provider):
        upstream.fail_with("empty")
        error = await refused(provider.generate(REQUEST, model=PRO, call=Call()))

    assert isinstance(error, BadOutput)
    assert error.billed


async def test_what_it_drew_while_it_thought_is_not_the_image():
    async with speaking_to(GeminiFake()) as (upstream, provider):
        upstream.fail_with("sketch_first")
        made = await provider.generate(REQUEST, model=PRO, call=Call())

    [asked] = upstream.calls
    final = draw(f"{asked.prompt}/{asked.id}/0", width=1024, height=1024)
    assert [image.data for image in made.images] == [final]


async def test_the_wait_stands_in_the_details_of_an_error():
    async with speaking_to(GeminiFake()) as (upstream, provider):
        upstream.fail_with("exhausted")
        error = await refused(provider.generate(REQUEST, model=PRO, call=Call()))

    assert isinstance(error, ProviderThrottled)
    assert error.retry_after == timedelta(seconds=34.5)
