"""The images that a job starts from, read back from the store for one call."""

import asyncio

import structlog

from service.core.errors import (
    BadImage,
    ProviderRefused,
    StoreUnavailable,
    Unavailable,
)
from service.core.provider import InputBytes, Provider
from service.core.requests import GenerationRequest, InputImage
from service.image_store import ImageStore
from service.imaging import Imaging
from workers.keeping import PAUSE_S

log = structlog.get_logger()

_AS_SENT = "alpha"


async def load_images(
    images: ImageStore, request: GenerationRequest
) -> list[InputBytes]:
    """Return the bytes of `request.images`, however long the store is away.

    Raises:
        ProviderRefused: One of them is gone (`input_missing`).
    """
    return [await _load(images, image) for image in request.images]


async def load_mask(
    images: ImageStore, imaging: Imaging, request: GenerationRequest, provider: Provider
) -> InputBytes | None:
    """Return `request.mask` the way that `provider` reads masks; see `load_images`.

    An adapter's `mask_style` says which: `alpha` (the caller's, where transparent
    means change), `white` or `black`; without one it is `alpha`.
    """
    if request.mask is None:
        return None
    mask = await _load(images, request.mask)
    style = getattr(provider, "mask_style", _AS_SENT)
    return mask if style == _AS_SENT else await _drawn(imaging, mask, style)


async def _drawn(imaging: Imaging, mask: InputBytes, style: str) -> InputBytes:
    while True:
        try:
            data = await imaging.mask(mask.data, style=style)
        except Unavailable as exc:  # ours: no child process would start
            log.warning("mask.not_drawn", error=str(exc))
            await asyncio.sleep(PAUSE_S)
            continue
        except BadImage as exc:  # it was whole when it came
            raise _missing("the mask in the store can no longer be read") from exc
        return InputBytes(data=data, content_type="image/png")


async def _load(images: ImageStore, image: InputImage) -> InputBytes:
    while True:
        try:
            data = await images.get(image.key)
        except StoreUnavailable as exc:
            log.warning("input.not_loaded", error=str(exc))
            await asyncio.sleep(PAUSE_S)
            continue
        if data is None:
            raise _missing(
                "an image that the job starts from is no longer in the store"
            )
        return InputBytes(data=data, content_type=image.content_type)


def _missing(message: str) -> ProviderRefused:
    return ProviderRefused(message, code="input_missing")
