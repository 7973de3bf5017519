"""What only fal does: its queue, its safety checker's flags, its words for money."""

from dataclasses import replace

import pytest

from service.core.errors import PromptRejected, ProviderRefused, ProviderUnavailable
from service.core.provider import Call
from tests.fakes.upstreams.calling import (
    INPUT,
    MASK,
    OTHER,
    REQUEST,
    refused,
    speaking_to,
)
from tests.fakes.upstreams.fal import FalFake

FLUX = "fal-ai/flux-2"


async def test_most_models_are_asked_for_pixels():
    async with speaking_to(FalFake()) as (upstream, provider):
        request = replace(REQUEST, n=3, seed=7, width=768, negative_prompt="fog")
        made = await provider.generate(request, model=FLUX, call=Call())

    assert upstream.calls[0].fields == {
        "prompt": REQUEST.prompt,
        "image_size": {"width": 768, "height": 1024},
        "num_images": 3,
        "seed": 7,
        "negative_prompt": "fog",
        "output_format": "png",
    }
    assert len(made.images) == 3


@pytest.mark.parametrize(
    "model", ["fal-ai/nano-banana-pro", "fal-ai/flux-pro/v1.1-ultra"]
)
async def test_some_models_are_asked_for_a_ratio(model):
    async with speaking_to(FalFake()) as (upstream, provider):
        request = replace(REQUEST, width=1344, height=768)
        await provider.generate(request, model=model, call=Call())

    assert upstream.calls[0].fields["aspect_ratio"] == "16:9"
    assert "image_size" not in upstream.calls[0].fields


@pytest.mark.parametrize(
    ("model", "name", "count"),
    [
        ("fal-ai/flux-2/edit", "image_urls", 2),
        ("fal-ai/bytedance/seedream/v4/edit", "image_urls", 2),
        ("fal-ai/flux-pro/kontext/max/multi", "image_urls", 2),
        ("fal-ai/flux-pro/kontext", "image_url", 1),
    ],
)
async def test_images_go_by_the_name_of_the_models_family(model, name, count):
    async with speaking_to(FalFake()) as (upstream, provider):
        call = Call(images=[INPUT, OTHER])
        await provider.generate(REQUEST, model=model, call=call)

    assert name in upstream.calls[0].fields
    assert upstream.calls[0].images == [INPUT.data, OTHER.data][:count]


async def test_a_mask_is_a_link_beside_its_image():
    async with speaking_to(FalFake()) as (upstream, provider):
        call = Call(images=[INPUT], mask=MASK)
        await provider.generate(REQUEST, model="fal-ai/flux-pro/v1/fill", call=call)

    assert {"image_url", "mask_url"} <= set(upstream.calls[0].fields)


async def test_their_queue_repeats_nothing_by_itself():
    async with speaking_to(FalFake()) as (upstream, provider):
        await provider.generate(REQUEST, model=FLUX, call=Call())

    assert upstream.headers[0]["x-fal-no-retry"] == "1"


async def test_a_picture_painted_black_is_a_refusal_that_is_billed():
    async with speaking_to(FalFake()) as (upstream, provider):
        upstream.fail_with("painted_black")
        error = await refused(provider.generate(REQUEST, model=FLUX, call=Call()))

    assert isinstance(error, PromptRejected)
    assert error.billed


async def test_a_runner_that_was_lost_may_be_found_later():
    async with speaking_to(FalFake()) as (upstream, provider):
        upstream.fail_with("runner_lost")
        error = await refused(provider.generate(REQUEST, model=FLUX, call=Call()))

    assert isinstance(error, ProviderUnavailable)


async def test_an_input_that_the_model_does_not_take_is_no_outage():
    async with speaking_to(FalFake()) as (upstream, provider):
        upstream.fail_with("file_too_large")
        error = await refused(provider.generate(REQUEST, model=FLUX, call=Call()))

    assert isinstance(error, ProviderRefused)
    assert error.code == "provider_invalid_request"


async def test_a_locked_account_is_one_without_credit():
    async with speaking_to(FalFake()) as (upstream, provider):
        upstream.fail_with("locked")
        error = await refused(provider.generate(REQUEST, model=FLUX, call=Call()))

    assert error.code == "provider_billing"
