"""What only Bedrock does: reasons under a 200, a model of its own for masks."""

from dataclasses import replace

import pytest

from service.core.errors import ProviderUnavailable
from service.core.provider import Call
from tests.fakes.upstreams.bedrock import BedrockFake
from tests.fakes.upstreams.calling import (
    INPUT,
    MASK,
    REQUEST,
    refused,
    speaking_to,
)

SD, INPAINT = BedrockFake.model, "us.stability.stable-image-inpaint-v1:0"
ULTRA, CORE = "stability.stable-image-ultra-v1:1", "stability.stable-image-core-v1:1"


@pytest.mark.parametrize("model", [SD, ULTRA, CORE])
async def test_words_come_with_a_shape_and_images_of_one_seed_with_seeds(model):
    async with speaking_to(BedrockFake()) as (upstream, provider):
        request = replace(REQUEST, n=2, width=640, height=1536, seed=4_294_967_294)
        made = await provider.generate(request, model=model, call=Call())

    assert {asked.fields["aspect_ratio"] for asked in upstream.calls} == {"9:21"}
    assert {asked.seed for asked in upstream.calls} == {4_294_967_294, 0}
    assert made.upstream_id in {asked.id for asked in upstream.calls}


@pytest.mark.parametrize(
    ("model", "mask", "names"),
    [
        (SD, None, {"image", "strength", "mode"}),
        (ULTRA, None, {"image", "strength"}),
        (INPAINT, MASK, {"image", "mask"}),
    ],
)
async def test_each_family_is_sent_an_image_in_its_way(model, mask, names):
    async with speaking_to(BedrockFake()) as (upstream, provider):
        call = Call(images=[INPUT], mask=mask)
        await provider.generate(REQUEST, model=model, call=call)

    sent = set(upstream.calls[0].fields) - {"prompt", "output_format"}
    assert sent == names


@pytest.mark.parametrize("fault", ["inference_error", "model_error"])
async def test_a_model_that_failed_may_not_fail_again(fault):
    async with speaking_to(BedrockFake()) as (upstream, provider):
        upstream.fail_with(fault)
        error = await refused(provider.generate(REQUEST, model=SD, call=Call()))

    assert isinstance(error, ProviderUnavailable)
