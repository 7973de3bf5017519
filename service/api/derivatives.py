"""Narrower or otherwise encoded copies of finished images, made when first asked for.

They lie beside the image, `jobs/{job id}/{fence}/derived/{i}-{width}.{format}`, and
go with it. Who asks while one is being made waits for that one; two processes that
make it at once put the same picture.
"""

import asyncio
import hashlib
from dataclasses import replace
from typing import NamedTuple
from weakref import WeakValueDictionary

from service.core.errors import JobDeleted, JobNotFound, StoreUnavailable
from service.core.jobs import Job, StoredImage
from service.image_store import ImageStore
from service.imaging import Imaging
from service.job_store import JobStore

_MOST_KNOWN = 10_000


class Shape(NamedTuple):
    """What a copy is to be like.

    Attributes:
        output_format: `png`, `jpeg` or `webp`; None: as the image.
        width: Pixels, the height in proportion, and never more than the image has.
            None: as the image.
    """

    output_format: str | None = None
    width: int | None = None


class Derivatives:
    """Finds copies, or makes them; one per process."""

    def __init__(self, images: ImageStore, imaging: Imaging, jobs: JobStore) -> None:
        self._images, self._imaging, self._jobs = images, imaging, jobs
        self._known: dict[str, StoredImage] = {}
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def get(self, job: Job, image: StoredImage, shape: Shape) -> StoredImage:
        """Return the copy of the job's `image`; the image itself where it is alike.

        Raises:
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
                    data = await self._make(job, image, copy)
                self._remember(copy, data)
            return self._known[copy.key]

    async def _make(self, job: Job, image: StoredImage, copy: StoredImage) -> bytes:
        data = await self._images.get(image.key)
        if data is None:
            raise StoreUnavailable("this image is not in the store")
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
    width = min(shape.width or image.width, image.width)
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
