"""What only Azure does: deployments with names of their own, filters before models."""

from dataclasses import replace

import pytest

from service.core.errors import PromptRejected
from service.core.provider import Call
from tests.fakes.upstreams.azure_openai import AzureOpenAIFake
from tests.fakes.upstreams.calling import (
    INPUT,
    MASK,
    OTHER,
    REQUEST,
    refused,
    speaking_to,
)


async def test_a_deployment_of_any_name_is_taken_for_gpt_image():
    async with speaking_to(AzureOpenAIFake()) as (upstream, provider):
        request = replace(REQUEST, n=2, quality="hd", style="vivid", partial_images=2)
        made = await provider.generate(request, model="images-eu", call=Call())

    assert upstream.calls[0].fields == {
        "model": "images-eu",
        "prompt": REQUEST.prompt,
        "n": 2,
        "size": "1024x1024",
        "quality": "high",
        "output_format": "png",
    }
    assert made.usage == {"input_tokens": 10, "output_tokens": 544}
    assert made.upstream_id == upstream.calls[0].id


async def test_one_that_says_dall_e_is_spoken_to_as_such():
    async with speaking_to(AzureOpenAIFake()) as (upstream, provider):
        request = replace(REQUEST, quality="high", style="vivid")
        await provider.generate(request, model="old-dall-e", call=Call())

    fields = upstream.calls[0].fields
    assert (fields["quality"], fields["style"]) == ("hd", "vivid")
    assert fields["response_format"] == "b64_json"


async def test_an_edit_is_a_form_with_images_and_mask():
    async with speaking_to(AzureOpenAIFake()) as (upstream, provider):
        call = Call(images=[INPUT, OTHER], mask=MASK)
        request = replace(REQUEST, operation="edit")
        await provider.generate(request, model="images-eu", call=call)

    [asked] = upstream.calls
    assert asked.model == "images-eu"
    assert asked.images == [INPUT.data, OTHER.data]
    assert asked.mask == MASK.data


@pytest.mark.parametrize("fault", ["filtered", "rejected"])
async def test_the_filter_refuses_before_the_model_and_the_model_after(fault):
    async with speaking_to(AzureOpenAIFake()) as (upstream, provider):
        upstream.fail_with(fault)
        error = await refused(
            provider.generate(REQUEST, model="images-eu", call=Call())
        )

    assert isinstance(error, PromptRejected)


async def test_a_quota_that_is_used_up_is_no_throttling():
    async with speaking_to(AzureOpenAIFake()) as (upstream, provider):
        upstream.fail_with("out_of_quota")
        error = await refused(
            provider.generate(REQUEST, model="images-eu", call=Call())
        )

    assert error.code == "provider_billing"


async def test_a_deployment_that_is_not_there_is_the_operators():
    async with speaking_to(AzureOpenAIFake()) as (_, provider):
        error = await refused(
            provider.generate(REQUEST, model="gpt-image-2", call=Call())
        )

    assert error.code == "provider_invalid_request"
