"""Narrower or otherwise encoded copies of finished images, made when first asked for.

They lie beside the image, `jobs/{job id}/{fence}/derived/{i}-{width}.{format}`, and
go with it; the widths are few, and so are they. Who asks while one is being made waits
for that one; two processes that make it at once put the same picture.
"""

import asyncio
import hashlib
from bisect import bisect_left
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import NamedTuple
from weakref import WeakValueDictionary

from service.api.turns import Turns
from service.core.errors import JobDeleted, JobNotFound
from service.core.jobs import Job, StoredImage
from service.image_store import ImageStore
from service.imaging import Imaging
from service.job_store import JobStore

WIDTHS = (
    *(16, 32, 48, 64, 96, 128, 192, 256, 320, 384, 512, 640, 768, 896, 1024),
    *(1280, 1536, 1792, 2048, 2560, 3072, 3584, 4096),
)
"""Pixels that a copy may be wide."""

_MOST_KNOWN = 10_000
_MOST_PENDING = 4


class Shape(NamedTuple):
    """What a copy is to be like.

    Attributes:
        output_format: `png`, `jpeg` or `webp`; None: as the image.
        width: Pixels, at most the widest of WIDTHS, the height in proportion; the
            copy has the next of WIDTHS, and never more than the image. None: as the
            image.
    """

    output_format: str | None = None
    width: int | None = None


class Derivatives:
    """Finds copies, or makes them; one per process.

    Args:
        images: Where images and copies lie.
        imaging: Makes the copies, and nothing that others wait for.
        jobs: Knows whether the image is still there.
    """

    def __init__(self, images: ImageStore, imaging: Imaging, jobs: JobStore) -> None:
        self._images, self._imaging, self._jobs = images, imaging, jobs
        self._turns = Turns(
            _MOST_PENDING,
            refusal=f"{_MOST_PENDING} copies are being made for this account already",
        )
        self._known: dict[str, StoredImage] = {}
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def get(
        self,
        job: Job,
        image: StoredImage,
        shape: Shape,
        *,
        before: Callable[[], Awaitable[None]],
    ) -> StoredImage:
        """Return the copy of the job's `image`; the image itself where it is alike.

        Args:
            job: Whose image it is.
            image: What is to be copied.
            shape: What the copy is to be like.
            before: Called before a copy is made, and may refuse it.

        Raises:
            TooMuch: The account waits for as many copies as it may (`rate_limited`).
            JobNotFound: The image went while the copy was made.
            JobDeleted: Likewise, with its job.
            StoreUnavailable: The image cannot be read, or the copy not stored.
            Unavailable: No copy can be made just now.
        """
        copy = _like(image, shape)
        if copy == image:
            return image
        if copy.key in self._known:
            return self._known[copy.key]
        async with self._locks.setdefault(copy.key, asyncio.Lock()):
            if copy.key not in self._known:
                data = await self._images.get(copy.key)
                if data is None:
                    with self._turns.taken_by(job.account):
                        await before()
                        data = await self._make(job, image, copy)
                self._remember(copy, data)
            return self._known[copy.key]

    async def _make(self, job: Job, image: StoredImage, copy: StoredImage) -> bytes:
        data = await self._images.get(image.key)
        if data is None:
            raise JobNotFound("this job has no such image")  # it is being deleted
        made, _ = await self._imaging.convert(
            data,
            output_format=_format(copy),
            compression=None,
            width=copy.width,
        )
        await self._images.put(copy.key, made, content_type=copy.content_type)
        try:
            now = await self._jobs.get(job.id, account=job.account)
        except (JobDeleted, JobNotFound):
            await self._images.delete(copy.key)
            raise
        if image not in now.images:  # of an ephemeral job, delivered meanwhile
            await self._images.delete(copy.key)
            raise JobNotFound("this job has no such image")
        return made

    def _remember(self, copy: StoredImage, data: bytes) -> None:
        if len(self._known) >= _MOST_KNOWN:
            del self._known[next(iter(self._known))]
        digest = hashlib.sha256(data).hexdigest()
        self._known[copy.key] = replace(copy, sha256=digest, size_bytes=len(data))


def _like(image: StoredImage, shape: Shape) -> StoredImage:
    """Return what is known of a copy beforehand; `image` where they are alike."""
    output_format = shape.output_format or _format(image)
    width = image.width
    if shape.width is not None:
        width = min(WIDTHS[bisect_left(WIDTHS, shape.width)], width)
    if (output_format, width) == (_format(image), image.width):
        return image
    folder, _, index = image.key.rpartition("/")
    return replace(
        image,
        key=f"{folder}/derived/{index}-{width}.{output_format}",
        width=width,
        height=max(1, round(image.height * width / image.width)),
        content_type=f"image/{output_format}",
    )


def _format(image: StoredImage) -> str:
    return image.content_type.removeprefix("image/")
