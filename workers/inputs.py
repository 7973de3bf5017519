"""The images that a job starts from, read back from the store for one call."""

import asyncio

import structlog

from service.core.errors import ProviderRefused, StoreUnavailable
from service.core.provider import InputBytes
from service.core.requests import GenerationRequest, InputImage
from service.image_store import ImageStore
from workers.keeping import PAUSE_S

log = structlog.get_logger()


async def load_images(
    images: ImageStore, request: GenerationRequest
) -> list[InputBytes]:
    """Return the bytes of `request.images`, however long the store is away.

    Raises:
        ProviderRefused: One of them is gone (`input_missing`).
    """
    return [await _load(images, image) for image in request.images]


async def load_mask(
    images: ImageStore, request: GenerationRequest
) -> InputBytes | None:
    """Return the bytes of `request.mask`; see `load_images`."""
    return None if request.mask is None else await _load(images, request.mask)


async def _load(images: ImageStore, image: InputImage) -> InputBytes:
    while True:
        try:
            data = await images.get(image.key)
        except StoreUnavailable as exc:
            log.warning("input.not_loaded", error=str(exc))
            await asyncio.sleep(PAUSE_S)
            continue
        if data is None:
            raise ProviderRefused(
                "an image that the job starts from is no longer in the store",
                code="input_missing",
            )
        return InputBytes(data=data, content_type=image.content_type)
