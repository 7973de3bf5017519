"""What only Stability does: a path for each way to draw, blurred refusals."""

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
from tests.fakes.upstreams.stability import StabilityFake


@pytest.mark.parametrize("model", ["core", "ultra", "sd3.5-large", "sd3.5-flash"])
async def test_a_shape_is_asked_for_as_a_ratio(model):
    async with speaking_to(StabilityFake()) as (upstream, provider):
        request = replace(REQUEST, width=1536, height=640, negative_prompt="fog")
        await provider.generate(request, model=model, call=Call())

    [asked] = upstream.calls
    assert asked.model == model
    assert asked.fields["aspect_ratio"] == "21:9"
    assert asked.fields["negative_prompt"] == "fog"


@pytest.mark.parametrize(
    ("model", "asked", "sent"),
    [
        ("core", "webp", "webp"),
        ("ultra", "jpeg", "jpeg"),
        ("sd3.5-large", "webp", "png"),
        ("sd3.5-large", "jpeg", "jpeg"),
    ],
)
async def test_the_one_endpoint_without_webp_is_asked_for_png(model, asked, sent):
    async with speaking_to(StabilityFake()) as (upstream, provider):
        request = replace(REQUEST, output_format=asked)
        await provider.generate(request, model=model, call=Call())

    assert upstream.calls[0].image_format == sent


async def test_images_of_one_seed_have_seeds_of_their_own():
    async with speaking_to(StabilityFake()) as (upstream, provider):
        request = replace(REQUEST, n=3, seed=4_294_967_293)
        made = await provider.generate(request, model="core", call=Call())

    assert {asked.seed for asked in upstream.calls} == {4_294_967_293, 4_294_967_294, 0}
    assert len(made.images) == 3


async def test_an_image_to_start_from_has_a_strength_and_no_ratio():
    async with speaking_to(StabilityFake()) as (upstream, provider):
        call = Call(images=[INPUT])
        await provider.generate(REQUEST, model="sd3.5-medium", call=call)

    assert set(upstream.calls[0].fields) == {
        "prompt",
        "output_format",
        "model",
        "image",
        "strength",
        "mode",
    }


async def test_a_mask_goes_to_the_path_of_inpainting_whatever_the_model():
    async with speaking_to(StabilityFake()) as (upstream, provider):
        call = Call(images=[INPUT], mask=MASK)
        request = replace(REQUEST, output_format="webp")
        await provider.generate(request, model="sd3.5-large", call=call)

    assert upstream.calls[0].model == "inpaint"
    assert upstream.calls[0].image_format == "webp"


async def test_a_blurred_picture_is_a_refusal_that_is_billed():
    async with speaking_to(StabilityFake()) as (upstream, provider):
        upstream.fail_with("filtered")
        error = await refused(provider.generate(REQUEST, model="core", call=Call()))

    assert isinstance(error, PromptRejected)
    assert error.billed


async def test_a_403_that_is_no_moderation_is_the_key():
    async with speaking_to(StabilityFake()) as (upstream, provider):
        upstream.fail_with("status:403")
        error = await refused(provider.generate(REQUEST, model="core", call=Call()))

    assert error.code == "provider_auth"
