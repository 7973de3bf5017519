"""The adapter that shows unfinished images, against OpenAI as a stream."""

from dataclasses import replace
from datetime import timedelta
from io import BytesIO

import openai
import pytest
from PIL import Image

from service import settings
from service.core.catalog import ProviderEntry
from service.core.errors import BadOutput, PromptRejected, ProviderRefused
from service.core.provider import Call, InputBytes
from service.core.requests import GenerationRequest, InputImage
from service.outbound import Outbound
from tests.fakes.openai_upstream import KEY, OpenAIUpstream
from tests.fakes.pictures import draw
from workers.providers.openai import OpenAI

REQUEST = GenerationRequest(model="openai/any", prompt="a cube", partial_images=2)
INPUT = InputBytes(data=draw("in", width=64, height=64), content_type="image/png")
STORED = InputImage(
    key="jobs/j/inputs/0", sha256="0", width=64, height=64, content_type="image/png"
)


class Shown:
    """What a call showed before it ended."""

    def __init__(self) -> None:
        self.images: list[bytes] = []
        self.numbers: list[int] = []

    async def partial(self, data: bytes, index: int) -> None:
        self.images.append(data)
        self.numbers.append(index)


@pytest.fixture
def shown() -> Shown:
    return Shown()


@pytest.fixture
async def upstream():
    async with OpenAIUpstream() as running:
        yield running


@pytest.fixture
async def outbound():
    async with Outbound(settings.Outbound()) as opened:
        yield opened


def provider_for(upstream: OpenAIUpstream, outbound: Outbound) -> OpenAI:
    entry = ProviderEntry(
        name="o",
        adapter="openai",
        base_url=upstream.base_url,
        timeout=timedelta(seconds=20),
    )
    return OpenAI(entry, outbound, KEY)


@pytest.fixture
def provider(upstream, outbound):
    return provider_for(upstream, outbound)


def make(provider: OpenAI, shown: Shown, **fields):
    request = replace(REQUEST, **fields)
    images = [INPUT] * len(request.images)
    call = Call(images=images, partial=shown.partial)
    return provider.generate(request, model="gpt-image-1", call=call)


@pytest.mark.parametrize("operation", ["generate", "edit"])
async def test_unfinished_images_are_shown_before_the_finished_one(
    provider, upstream, shown, operation
):
    images = (STORED,) if operation == "edit" else ()

    made = await make(provider, shown, operation=operation, images=images)

    sizes = [Image.open(BytesIO(data)).size for data in shown.images]
    assert (shown.numbers, sizes) == ([0, 1], [(1024, 1024)] * 2)
    assert len(made.images) == 1
    assert made.images[0].data not in shown.images
    assert made.upstream_id.startswith("req_")
    assert made.usage["output_tokens"] == 272
    assert made.usage["input_text_tokens"] == 10


async def test_several_images_are_not_streamed_because_openai_does_not(
    provider, upstream, shown
):
    made = await make(provider, shown, n=2)

    assert len(made.images) == 2
    assert shown.numbers == []
    assert "stream" not in upstream.requests[0]


async def test_nobody_who_wants_no_stream_gets_one(provider, upstream, shown):
    await make(provider, shown, partial_images=0)

    assert "stream" not in upstream.requests[0]


async def test_imitator_that_cannot_stream_is_understood(outbound, shown):
    async with OpenAIUpstream(compatible=True) as imitator:
        made = await make(provider_for(imitator, outbound), shown)

    assert len(made.images) == 1
    assert shown.numbers == []


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("streamed_error:moderation_blocked", PromptRejected),
        ("streamed_error:server_error", BadOutput),
        ("streamed_half", BadOutput),
        ("unauthorized", ProviderRefused),
        ("rejected", PromptRejected),
    ],
)
async def test_stream_that_fails_is_what_it_would_be_without_one(
    provider, upstream, shown, fault, error
):
    upstream.fail_with(fault)

    with pytest.raises(error):
        await make(provider, shown)


async def test_the_sdk_takes_the_fakes_stream_for_openais(upstream):
    async with openai.AsyncOpenAI(base_url=upstream.base_url, api_key=KEY) as client:
        stream = await client.images.generate(
            model="gpt-image-1", prompt="a cube", stream=True, partial_images=1
        )
        came = [event async for event in stream]

    kinds = ["image_generation.partial_image", "image_generation.completed"]
    assert [event.type for event in came] == kinds
    assert came[1].usage.total_tokens == 282
