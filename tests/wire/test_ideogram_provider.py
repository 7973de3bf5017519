"""What only Ideogram does: speeds, actions, items that failed its safety check."""

from dataclasses import replace

import pytest

from service.core.errors import PromptRejected
from service.core.provider import Call
from tests.fakes.upstreams.calling import (
    INPUT,
    MASK,
    REQUEST,
    refused,
    speaking_to,
)
from tests.fakes.upstreams.ideogram import IdeogramFake


@pytest.mark.parametrize(
    ("model", "quality", "speed"),
    [
        ("v3", None, "DEFAULT"),
        ("v3", "low", "TURBO"),
        ("v3", "medium", "DEFAULT"),
        ("v3", "hd", "QUALITY"),
        ("v3-flash", "high", "FLASH"),
    ],
)
async def test_a_speed_is_the_models_or_else_what_the_quality_needs(
    model, quality, speed
):
    async with speaking_to(IdeogramFake()) as (upstream, provider):
        request = replace(REQUEST, quality=quality)
        await provider.generate(request, model=model, call=Call())

    assert upstream.calls[0].model == speed


async def test_all_images_are_one_request_with_the_prompts_that_were_drawn():
    async with speaking_to(IdeogramFake()) as (upstream, provider):
        request = replace(REQUEST, n=3, seed=2**31 + 7, negative_prompt="fog")
        made = await provider.generate(request, model="v3", call=Call())

    [asked] = upstream.calls
    assert (asked.n, asked.seed) == (3, 7)
    assert asked.fields["negative_prompt"] == "fog"
    assert {image.revised_prompt for image in made.images} == {
        f"In detail: {REQUEST.prompt}"
    }


@pytest.mark.parametrize(
    ("call", "fields"),
    [
        (Call(images=[INPUT]), {"prompt", "num_images", "image", "aspect_ratio"}),
        (Call(images=[INPUT], mask=MASK), {"prompt", "num_images", "image", "mask"}),
    ],
    ids=["remix", "edit"],
)
async def test_a_remix_has_a_shape_and_an_edit_has_a_mask(call, fields):
    async with speaking_to(IdeogramFake()) as (upstream, provider):
        request = replace(REQUEST, negative_prompt="fog")
        await provider.generate(request, model="v3", call=call)

    assert set(upstream.calls[0].fields) == fields


async def test_a_picture_that_failed_the_check_is_a_refusal_that_is_billed():
    async with speaking_to(IdeogramFake()) as (upstream, provider):
        upstream.fail_with("unsafe")
        error = await refused(provider.generate(REQUEST, model="v3", call=Call()))

    assert isinstance(error, PromptRejected)
    assert error.billed


async def test_the_safe_ones_of_a_request_are_delivered():
    async with speaking_to(IdeogramFake()) as (upstream, provider):
        upstream.fail_with("one_unsafe")
        made = await provider.generate(replace(REQUEST, n=3), model="v3", call=Call())

    assert len(made.images) == 2
