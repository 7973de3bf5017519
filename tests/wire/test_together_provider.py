"""What only Together does: two names for images, items with a type."""

from dataclasses import replace

import pytest

from service.core.provider import Call
from tests.fakes.upstreams.calling import INPUT, OTHER, REQUEST, speaking_to
from tests.fakes.upstreams.together import TogetherFake

MODEL = TogetherFake.model


async def test_all_of_a_request_is_one_call():
    async with speaking_to(TogetherFake()) as (upstream, provider):
        request = replace(
            REQUEST,
            n=2,
            width=768,
            seed=7,
            negative_prompt="fog",
            output_format="webp",
        )
        made = await provider.generate(request, model=MODEL, call=Call())

    assert upstream.calls[0].fields == {
        "model": MODEL,
        "prompt": REQUEST.prompt,
        "n": 2,
        "width": 768,
        "height": 1024,
        "seed": 7,
        "negative_prompt": "fog",
        "response_format": "base64",
        "output_format": "jpeg",
    }
    assert len(made.images) == 2
    assert made.upstream_id == upstream.calls[0].id


@pytest.mark.parametrize(
    ("model", "name", "count"),
    [
        ("black-forest-labs/FLUX.1-kontext-pro", "image_url", 1),
        ("black-forest-labs/FLUX.2-pro", "reference_images", 2),
        ("google/gemini-3-pro-image", "reference_images", 2),
    ],
)
async def test_images_go_by_the_name_of_the_models_family(model, name, count):
    async with speaking_to(TogetherFake()) as (upstream, provider):
        call = Call(images=[INPUT, OTHER])
        await provider.generate(REQUEST, model=model, call=call)

    assert name in upstream.calls[0].fields
    assert upstream.calls[0].images == [INPUT.data, OTHER.data][:count]


async def test_a_link_where_bytes_were_asked_for_is_followed():
    async with speaking_to(TogetherFake()) as (upstream, provider):
        upstream.fail_with("linked")
        made = await provider.generate(REQUEST, model=MODEL, call=Call())

    assert len(made.images) == 1
