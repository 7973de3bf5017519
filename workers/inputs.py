"""The images that jobs start from, in memory for as long as a call needs them.

Callers decide how large they are, and a call may take minutes: all jobs in work
share so many bytes, and whoever finds no room waits for it, under its lease.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import NamedTuple

import structlog

from service.core.errors import ProviderRefused, StoreUnavailable
from service.core.provider import InputBytes
from service.core.requests import GenerationRequest, InputImage
from service.image_store import ImageStore
from workers.keeping import PAUSE_S

log = structlog.get_logger()


class Loaded(NamedTuple):
    """The bytes of a request's images, in the caller's order, and of its mask."""

    images: Sequence[InputBytes] = ()
    mask: InputBytes | None = None


class Inputs:
    """Reads images back from the store.

    Args:
        images: The store.
        most_bytes: Of all images in memory at once; one job may have more, alone.
    """

    def __init__(self, images: ImageStore, *, most_bytes: int) -> None:
        self._images, self._most_bytes = images, most_bytes
        self._used_bytes = 0
        self._freed, self._turn = asyncio.Event(), asyncio.Lock()

    @asynccontextmanager
    async def of(self, request: GenerationRequest) -> AsyncIterator[Loaded]:
        """Yield what the request starts from; however long the store is away.

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
                None if request.mask is None else await self._load(request.mask),
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

    async def _load(self, image: InputImage) -> InputBytes:
        while True:
            try:
                data = await self._images.get(image.key)
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


def _all(request: GenerationRequest) -> Sequence[InputImage]:
    return (*request.images, *(() if request.mask is None else (request.mask,)))
