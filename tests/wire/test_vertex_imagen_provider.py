"""What only Imagen on Vertex AI does: reasons instead of pictures, two kinds of key."""

from dataclasses import replace

import pytest

from service.core.provider import Call
from tests.fakes.upstreams.calling import REQUEST, speaking_to
from tests.fakes.upstreams.vertex_imagen import VertexImagenFake
from tests.fakes.upstreams.words import KEY

MODEL = VertexImagenFake.model


async def test_a_seed_asks_for_pictures_without_a_watermark():
    async with speaking_to(VertexImagenFake()) as (upstream, provider):
        request = replace(
            REQUEST, seed=2**40 + 7, width=2048, height=2048, output_format="webp"
        )
        await provider.generate(request, model=MODEL, call=Call())

    assert upstream.calls[0].fields["parameters"] == {
        "sampleCount": 1,
        "aspectRatio": "1:1",
        "includeRaiReason": True,
        "outputOptions": {"mimeType": "image/jpeg"},
        "seed": 7,
        "addWatermark": False,
        "sampleImageSize": "2K",
    }


async def test_what_was_filtered_is_missing_among_the_others():
    async with speaking_to(VertexImagenFake()) as (upstream, provider):
        upstream.fail_with("one_filtered")
        made = await provider.generate(replace(REQUEST, n=3), model=MODEL, call=Call())

    assert len(made.images) == 2


@pytest.mark.parametrize(
    ("key", "header"),
    [(KEY, "x-goog-api-key"), (f"ya29.{KEY}", "Authorization")],
)
async def test_an_access_token_goes_another_way_than_a_key(key, header):
    async with speaking_to(VertexImagenFake(), key=key) as (upstream, provider):
        await provider.generate(REQUEST, model=MODEL, call=Call())

    assert key in upstream.headers[0][header]
