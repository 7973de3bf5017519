"""What only DeepInfra does: links of all kinds, a cost inside its status."""

from dataclasses import replace
from decimal import Decimal

import pytest

from service.core.provider import Call
from tests.fakes.upstreams.calling import REQUEST, speaking_to
from tests.fakes.upstreams.deepinfra import DeepInfraFake

MODEL = DeepInfraFake.model


async def test_all_of_a_request_is_one_call_with_its_cost():
    async with speaking_to(DeepInfraFake()) as (upstream, provider):
        request = replace(REQUEST, n=2, width=768, seed=7, negative_prompt="fog")
        made = await provider.generate(request, model=MODEL, call=Call())

    assert upstream.calls[0].fields == {
        "prompt": REQUEST.prompt,
        "num_images": 2,
        "width": 768,
        "height": 1024,
        "seed": 7,
        "negative_prompt": "fog",
    }
    assert made.cost_usd == Decimal("0.018")
    assert made.upstream_id == upstream.calls[0].id


@pytest.mark.parametrize("fault", ["under_image_url", "under_image_urls"])
async def test_an_image_goes_by_more_than_one_name(fault):
    async with speaking_to(DeepInfraFake()) as (upstream, provider):
        upstream.fail_with(fault)
        made = await provider.generate(REQUEST, model=MODEL, call=Call())

    assert len(made.images) == 1
