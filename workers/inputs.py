"""The images that jobs start from, in memory for as long as a call needs them.

Callers decide how large they are, and a call may take minutes: all jobs in work
share so many bytes, and whoever finds no room waits for it, under its lease.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import NamedTuple

import structlog

from service.core.errors import (
    BadImage,
    ProviderRefused,
    StoreUnavailable,
    Unavailable,
)
from service.core.provider import InputBytes
from service.core.requests import GenerationRequest, InputImage
from service.image_store import ImageStore
from service.imaging import Imaging
from workers.keeping import PAUSE_S

log = structlog.get_logger()

AS_SENT = "alpha"
"""The mask style of OpenAI, which callers speak."""


class Loaded(NamedTuple):
    """The bytes of a request's images, in the caller's order, and of its mask."""

    images: Sequence[InputBytes] = ()
    mask: InputBytes | None = None


class Inputs:
    """Reads images back from the store.

    Args:
        images: The store.
        imaging: Draws masks as others read them.
        most_bytes: Of all images in memory at once; one job may have more, alone.
    """

    def __init__(
        self, images: ImageStore, imaging: Imaging, *, most_bytes: int
    ) -> None:
        self._images, self._imaging = images, imaging
        self._most_bytes = most_bytes
        self._used_bytes = 0
        self._freed, self._turn = asyncio.Event(), asyncio.Lock()

    @asynccontextmanager
    async def of(
        self, request: GenerationRequest, *, mask_style: str = AS_SENT
    ) -> AsyncIterator[Loaded]:
        """Yield what the request starts from; however long the store is away.

        Args:
            request: Whose images.
            mask_style: How the provider reads a mask: `alpha` (the caller's way:
                transparent means change), `white` or `black`.

        Raises:
            ProviderRefused: An image is gone (`input_missing`).
        """
        if not request.images:
            yield Loaded()
            return
        size = sum(image.size_bytes for image in _all(request))
        await self._room_for(size)
        try:
            yield Loaded(
                [await self._load(image) for image in request.images],
                await self._mask(request.mask, mask_style),
            )
        finally:
            self._used_bytes -= size
            self._freed.set()

    async def _room_for(self, size: int) -> None:
        async with self._turn:  # or the large would be passed by for ever
            while self._used_bytes and self._used_bytes + size > self._most_bytes:
                self._freed.clear()
                await self._freed.wait()
            self._used_bytes += size

    async def _mask(self, mask: InputImage | None, style: str) -> InputBytes | None:
        if mask is None:
            return None
        sent = await self._load(mask)
        return sent if style == AS_SENT else await self._drawn(sent.data, style)

    async def _drawn(self, mask: bytes, style: str) -> InputBytes:
        while True:
            try:
                data = await self._imaging.mask(mask, style=style)
            except BadImage as exc:  # it was whole when it came
                raise _missing("the mask in the store can no longer be read") from exc
            except Unavailable as exc:  # ours: no child process would start
                log.warning("mask.not_drawn", error=str(exc))
                await asyncio.sleep(PAUSE_S)
            else:
                return InputBytes(data=data, content_type="image/png")

    async def _load(self, image: InputImage) -> InputBytes:
        while True:
            try:
                data = await self._images.get(image.key)
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


def _all(request: GenerationRequest) -> Sequence[InputImage]:
    return (*request.images, *(() if request.mask is None else (request.mask,)))
