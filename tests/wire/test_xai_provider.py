"""What only xAI does: ratios and resolutions, edits in JSON, costs in ticks."""

from dataclasses import replace
from decimal import Decimal

import pytest

from service.core.errors import PromptRejected
from service.core.provider import Call
from tests.fakes.upstreams.calling import (
    INPUT,
    OTHER,
    REQUEST,
    refused,
    speaking_to,
)
from tests.fakes.upstreams.xai import XAIFake

MODEL = XAIFake.model


async def test_a_size_becomes_a_ratio_and_a_resolution():
    async with speaking_to(XAIFake()) as (upstream, provider):
        request = replace(REQUEST, width=2048, height=1152, quality="low", user="u")
        await provider.generate(request, model=MODEL, call=Call())

    assert upstream.calls[0].fields == {
        "model": MODEL,
        "prompt": REQUEST.prompt,
        "n": 1,
        "response_format": "b64_json",
        "aspect_ratio": "16:9",
        "resolution": "2k",
        "quality": "low",
        "user": "u",
    }


async def test_a_quality_of_another_family_is_not_passed_on():
    async with speaking_to(XAIFake()) as (upstream, provider):
        request = replace(REQUEST, quality="hd")
        await provider.generate(request, model=MODEL, call=Call())

    assert "quality" not in upstream.calls[0].fields


@pytest.mark.parametrize(
    ("images", "name"), [([INPUT], "image"), ([INPUT, OTHER], "images")]
)
async def test_an_edit_names_one_image_otherwise_than_several(images, name):
    async with speaking_to(XAIFake()) as (upstream, provider):
        await provider.generate(REQUEST, model=MODEL, call=Call(images=images))

    assert name in upstream.calls[0].fields
    assert upstream.calls[0].images == [image.data for image in images]


async def test_the_cost_is_counted_in_ticks():
    async with speaking_to(XAIFake()) as (_, provider):
        made = await provider.generate(replace(REQUEST, n=2), model=MODEL, call=Call())

    assert made.cost_usd == Decimal("0.04")
    assert made.images[1].revised_prompt == f"In detail: {REQUEST.prompt}"


@pytest.mark.parametrize("fault", ["moderated", "blocked"])
async def test_an_answer_without_the_picture_may_be_a_refusal(fault):
    async with speaking_to(XAIFake()) as (upstream, provider):
        upstream.fail_with(fault)
        error = await refused(provider.generate(REQUEST, model=MODEL, call=Call()))

    assert isinstance(error, PromptRejected)
