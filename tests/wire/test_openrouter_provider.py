"""What only OpenRouter does: one form for all models, costs, reasons for a 403."""

from dataclasses import replace
from decimal import Decimal

import pytest

from service.core.provider import Call
from tests.fakes.upstreams.calling import (
    INPUT,
    OTHER,
    REQUEST,
    refused,
    speaking_to,
)
from tests.fakes.upstreams.openrouter import OpenRouterFake

MODEL = OpenRouterFake.model


async def test_what_would_repeat_a_default_is_left_out():
    async with speaking_to(OpenRouterFake()) as (upstream, provider):
        await provider.generate(REQUEST, model=MODEL, call=Call())

    assert upstream.calls[0].fields == {
        "model": MODEL,
        "prompt": REQUEST.prompt,
        "aspect_ratio": "1:1",
    }


@pytest.mark.parametrize(("quality", "sent"), [("hd", "high"), ("low", "low")])
async def test_the_rest_is_said_in_its_words(quality, sent):
    async with speaking_to(OpenRouterFake()) as (upstream, provider):
        request = replace(
            REQUEST,
            n=2,
            width=5504,
            height=3072,
            quality=quality,
            background="transparent",
            seed=7,
            user="u",
        )
        await provider.generate(request, model=MODEL, call=Call())

    assert upstream.calls[0].fields == {
        "model": MODEL,
        "prompt": REQUEST.prompt,
        "aspect_ratio": "16:9",
        "resolution": "4K",
        "n": 2,
        "quality": sent,
        "background": "transparent",
        "seed": 7,
        "user": "u",
    }


async def test_references_come_in_the_callers_order():
    async with speaking_to(OpenRouterFake()) as (upstream, provider):
        call = Call(images=[INPUT, OTHER])
        await provider.generate(REQUEST, model=MODEL, call=call)

    assert upstream.calls[0].images == [INPUT.data, OTHER.data]


async def test_cost_and_tokens_are_its_own():
    async with speaking_to(OpenRouterFake()) as (upstream, provider):
        made = await provider.generate(REQUEST, model=MODEL, call=Call())

    assert made.cost_usd == Decimal("0.0387")
    assert made.usage == {
        "input_tokens": 7,
        "output_tokens": 1290,
        "total_tokens": 1297,
    }
    assert made.upstream_id == f"gen-{upstream.calls[0].id}"


async def test_a_403_without_reasons_is_the_key():
    async with speaking_to(OpenRouterFake()) as (upstream, provider):
        upstream.fail_with("status:403")
        error = await refused(provider.generate(REQUEST, model=MODEL, call=Call()))

    assert error.code == "provider_auth"
