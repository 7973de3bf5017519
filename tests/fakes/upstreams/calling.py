"""What tests of single providers share: a fake and its adapter, inputs, refusals."""

from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import pytest
from PIL import Image

from service import settings
from service.core.errors import ProviderError
from service.core.provider import InputBytes, Provider
from service.core.requests import GenerationRequest
from service.outbound import Outbound
from tests.fakes.images import encoded
from tests.fakes.pictures import draw
from tests.fakes.upstreams.base import Fake
from tests.fakes.upstreams.words import KEY

REQUEST = GenerationRequest(model="any/model", prompt='a "blue" cube, größer')
INPUT = InputBytes(data=draw("input", width=64, height=64), content_type="image/png")
OTHER = InputBytes(
    data=draw("other", width=64, height=64, image_format="jpeg"),
    content_type="image/jpeg",
)
MASK = InputBytes(
    data=encoded(Image.new("RGBA", (64, 64)), "PNG"), content_type="image/png"
)

AFake = TypeVar("AFake", bound=Fake)


@asynccontextmanager
async def speaking_to(
    fake: AFake, key: str | None = KEY, **options: Any
) -> AsyncIterator[tuple[AFake, Provider]]:
    """Serve, and yield the fake with an adapter that has its address."""
    async with fake, Outbound(settings.Outbound()) as outbound:
        yield fake, fake.provider(outbound, key, **options)


async def refused(call: Awaitable[object]) -> ProviderError:
    """Return the error that `call` ends in."""
    with pytest.raises(ProviderError) as refusal:
        await call
    return refusal.value
