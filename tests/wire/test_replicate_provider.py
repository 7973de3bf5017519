"""What only Replicate does: models that name their inputs, versions, sentences."""

from dataclasses import replace
from datetime import timedelta

import pytest

from service.core.errors import ProviderThrottled, ProviderUnavailable
from service.core.provider import Call
from tests.fakes.upstreams.calling import (
    INPUT,
    OTHER,
    REQUEST,
    refused,
    speaking_to,
)
from tests.fakes.upstreams.replicate import ReplicateFake

FLUX = "black-forest-labs/flux-2-pro"


@pytest.mark.parametrize("model", [FLUX, "stability-ai/stable-diffusion-3.5-large"])
async def test_most_models_are_asked_for_a_ratio_and_a_format(model):
    async with speaking_to(ReplicateFake()) as (upstream, provider):
        request = replace(REQUEST, width=768, height=1344, seed=7)
        await provider.generate(request, model=model, call=Call())

    fields = upstream.calls[0].fields["input"]
    assert fields["aspect_ratio"] == "9:16"
    assert (fields["output_format"], fields["seed"]) == ("png", 7)
    assert "width" not in fields


@pytest.mark.parametrize(
    "model", ["stability-ai/stable-diffusion:ac73", "stability-ai/sdxl:7762"]
)
async def test_older_models_are_asked_for_pixels_by_version(model):
    async with speaking_to(ReplicateFake()) as (upstream, provider):
        request = replace(REQUEST, width=768, negative_prompt="fog")
        await provider.generate(request, model=model, call=Call())

    body = upstream.calls[0].fields
    assert body["version"] == model.partition(":")[2]
    assert body["input"] == {
        "prompt": REQUEST.prompt,
        "negative_prompt": "fog",
        "width": 768,
        "height": 1024,
    }


@pytest.mark.parametrize(
    ("asked", "sent"), [("png", "png"), ("jpeg", "jpg"), ("webp", "png")]
)
async def test_a_format_that_not_all_models_know_is_left_to_us(asked, sent):
    async with speaking_to(ReplicateFake()) as (upstream, provider):
        request = replace(REQUEST, output_format=asked)
        await provider.generate(request, model=FLUX, call=Call())

    assert upstream.calls[0].fields["input"]["output_format"] == sent


@pytest.mark.parametrize(
    ("model", "name", "count"),
    [
        (FLUX, "input_images", 2),
        ("openai/gpt-image-2", "input_images", 2),
        ("google/nano-banana-2", "image_input", 2),
        ("bytedance/seedream-4.5", "image_input", 2),
        ("black-forest-labs/flux-kontext-pro", "input_image", 1),
        ("qwen/qwen-image-edit", "image", 1),
    ],
)
async def test_images_go_by_the_name_of_the_models_family(model, name, count):
    async with speaking_to(ReplicateFake()) as (upstream, provider):
        call = Call(images=[INPUT, OTHER])
        await provider.generate(REQUEST, model=model, call=call)

    assert name in upstream.calls[0].fields["input"]
    assert upstream.calls[0].images == [INPUT.data, OTHER.data][:count]


async def test_the_wait_stands_in_the_sentence_of_a_429():
    async with speaking_to(ReplicateFake()) as (upstream, provider):
        upstream.fail_with("out_of_breath")
        error = await refused(provider.generate(REQUEST, model=FLUX, call=Call()))

    assert isinstance(error, ProviderThrottled)
    assert error.retry_after == timedelta(seconds=30)


async def test_a_prediction_that_was_canceled_there_may_work_later():
    async with speaking_to(ReplicateFake()) as (upstream, provider):
        upstream.fail_with("canceled")
        error = await refused(provider.generate(REQUEST, model=FLUX, call=Call()))

    assert isinstance(error, ProviderUnavailable)


async def test_one_link_instead_of_a_list_is_an_output_too():
    async with speaking_to(ReplicateFake()) as (upstream, provider):
        upstream.fail_with("bare_link")
        made = await provider.generate(REQUEST, model=FLUX, call=Call())

    assert len(made.images) == 1
    assert made.upstream_id == upstream.calls[0].id
