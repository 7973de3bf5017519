"""Unfinished images: checked like finished ones, stored for a minute, announced.

They are a courtesy. One that cannot be shown soon is dropped; the job, which is paid
for, never waits for it long.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from service.core.errors import BadImage, StoreUnavailable, Unavailable
from service.core.requests import GenerationRequest
from service.image_store import ImageStore
from service.imaging import Imaging
from service.job_store.lease import Lease
from service.partials import Partial, announce, partial_key
from workers.keeping import as_asked

log = structlog.get_logger()

_PATIENCE_S = 5.0


class Partials:
    """Shows unfinished images; one per process.

    Args:
        redis: Where they are announced.
        images: Where they lie.
        imaging: Checks and converts them.
        life: How long they lie there.
    """

    def __init__(
        self,
        redis: Redis,
        images: ImageStore,
        imaging: Imaging,
        *,
        life: timedelta = timedelta(minutes=1),
    ) -> None:
        self._redis, self._images, self._imaging = redis, images, imaging
        self._life_s = life.total_seconds()
        self._removals: set[asyncio.Task[None]] = set()
        self._ending = asyncio.Event()

    def of(
        self, lease: Lease, request: GenerationRequest
    ) -> Callable[[bytes, int], Awaitable[None]]:
        """Return what shows an image of this attempt; see `Call.partial`."""

        async def show(data: bytes, index: int) -> None:
            if index not in range(request.partial_images):
                return
            partial = Partial(lease.fence, index)
            try:
                async with asyncio.timeout(_PATIENCE_S):
                    await self._show(lease, request, data, partial)
            except (BadImage, Unavailable, RedisError, OSError) as exc:
                log.warning("partial.dropped", error=type(exc).__name__)

        return show

    async def aclose(self) -> None:
        """Remove now what would be removed soon."""
        self._ending.set()
        await asyncio.gather(*self._removals)

    async def _show(
        self, lease: Lease, request: GenerationRequest, data: bytes, partial: Partial
    ) -> None:
        checked, facts = await as_asked(self._imaging, request, data)
        key = partial_key(lease.job_id, partial)
        try:
            await self._images.put(key, checked, content_type=facts.content_type)
        finally:  # one that was given up may lie there all the same
            removal = asyncio.create_task(self._remove_later(key))
            self._removals.add(removal)
            removal.add_done_callback(self._removals.discard)
        await announce(self._redis, lease.job_id, partial)

    async def _remove_later(self, key: str) -> None:
        try:
            async with asyncio.timeout(self._life_s):
                await self._ending.wait()
        except TimeoutError:
            pass
        try:
            await self._images.delete(key)
        except StoreUnavailable as exc:  # it goes with the job, then
            log.warning("partial.not_removed", error=str(exc))
