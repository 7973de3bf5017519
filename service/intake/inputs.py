"""Images of an edit: fetched where they are links, made harmless, and stored.

Few at a time are in memory, whatever is sent; in a decoder process each is decoded
whole and encoded anew, upright and without metadata. A mask stays lossless.
"""

import asyncio
import contextlib
import functools
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from dataclasses import replace
from typing import Any, NamedTuple, TypeAlias, TypeVar

from service.core.errors import (
    BadImage,
    InvalidReference,
    InvalidRequest,
    RequestGone,
)
from service.core.jobs import JobId
from service.core.requests import GenerationRequest, InputImage
from service.image_store import ImageStore
from service.imaging import ImageFacts, Imaging, sniff
from service.intake.links import Links
from service.intake.spool import Held, Spool
from service.intake.uploads import Upload, Uploads

_T = TypeVar("_T")
_Fetch: TypeAlias = Callable[[Upload, Spool], Awaitable[Held]]

_MASK = "mask"
_AT_ONCE = 4
_QUALITY = 95
_ENCODINGS = {"image/jpeg": "jpeg", "image/webp": "webp"}
"""How an image is encoded anew: as it came, so that photos stay small."""


class Stored(NamedTuple):
    """The images of one request, as they lie in the store."""

    images: tuple[InputImage, ...]
    mask: InputImage | None


class _Checked(NamedTuple):
    stored: InputImage
    has_alpha: bool


class Inputs:
    """Brings uploads into the store.

    Args:
        images: Where to.
        imaging: Decodes and encodes.
        links: Follows those that came in place of images.
    """

    def __init__(self, images: ImageStore, imaging: Imaging, links: Links) -> None:
        self._images, self._imaging, self._links = images, imaging, links
        self._turns = asyncio.Semaphore(_AT_ONCE)

    async def store(self, job_id: JobId, uploads: Uploads, *, account: str) -> Stored:
        """Put all that came along under `jobs/{job id}/inputs/`.

        Args:
            job_id: Whose inputs they will be.
            uploads: What came along.
            account: Who sent it, so that nobody waits for another's links.

        Raises:
            InvalidRequest: One of them is no image that we take, or the mask does not
                fit; some may be in the store already.
            InvalidReference: A link leads to none.
            StoreUnavailable: Likewise.
        """
        keyed = [(str(i), upload) for i, upload in enumerate(uploads.images)]
        if uploads.mask is not None:
            keyed.append((_MASK, uploads.mask))
        fetch = functools.partial(
            self._links.fetch, account=account, budget=self._links.budget()
        )
        checked = await all_of(
            self._bring(f"jobs/{job_id}/inputs/{name}", upload, fetch)
            for name, upload in keyed
        )
        stored = tuple(one.stored for one in checked)
        if uploads.mask is None:
            return Stored(stored, None)
        _check_mask(uploads.mask, checked[-1], stored[0])
        return Stored(stored[:-1], stored[-1])

    async def copy(self, job_id: JobId, request: GenerationRequest) -> Stored:
        """Put what an earlier job started from under `jobs/{job id}/inputs/`, too.

        Raises:
            RequestGone: Some of it is not there any more.
            StoreUnavailable: Some of it may be in the store already.
        """

        async def copied(image: InputImage) -> InputImage:
            data = await self._images.get(image.key)
            if data is None:
                raise RequestGone("an image that the job began with is not kept")
            key = f"jobs/{job_id}/inputs/{image.key.rpartition('/')[2]}"
            await self._images.put(key, data, content_type=image.content_type)
            return replace(image, key=key)

        images = [await copied(image) for image in request.images]
        mask = None if request.mask is None else await copied(request.mask)
        return Stored(tuple(images), mask)

    async def drop(self, job_id: JobId) -> None:
        """Remove all that was put there.

        Raises:
            StoreUnavailable: Some of it is still there.
        """
        for key in await self._images.list(f"jobs/{job_id}/inputs/"):
            await self._images.delete(key)

    async def _bring(self, key: str, upload: Upload, fetch: _Fetch) -> _Checked:
        with contextlib.closing(Spool()) as spool:
            held = upload.held or await fetch(upload, spool)
            async with self._turns:
                return await self._put(key, upload, held)

    async def _put(self, key: str, upload: Upload, held: Held) -> _Checked:
        is_mask = key.endswith(_MASK)
        try:
            made, facts = await self._encoded(await held.read(), is_mask=is_mask)
        except BadImage as exc:
            raise _refusal(upload, exc, is_mask=is_mask) from exc
        await _to_its_end(self._images.put(key, made, content_type=facts.content_type))
        stored = InputImage(
            key=key,
            sha256=upload.sha256,
            width=facts.width,
            height=facts.height,
            content_type=facts.content_type,
            size_bytes=len(made),
        )
        return _Checked(stored, facts.has_alpha)

    async def _encoded(self, data: bytes, *, is_mask: bool) -> tuple[bytes, ImageFacts]:
        claimed = sniff(data)
        if claimed is None:  # the decoder knows why it is none
            await self._imaging.check(data)
        encoding = "png" if is_mask else _ENCODINGS.get(claimed or "", "png")
        return await self._imaging.convert(
            data, output_format=encoding, compression=_QUALITY
        )


def _check_mask(upload: Upload, mask: _Checked, image: InputImage) -> None:
    if not mask.has_alpha:
        raise InvalidRequest(
            "the mask has no transparency to say what may be changed",
            code="invalid_mask",
            param=upload.param,
        )
    if (mask.stored.width, mask.stored.height) != (image.width, image.height):
        raise InvalidRequest(
            f"the mask must have the size of the first image, "
            f"{image.width}x{image.height}",
            code="mask_size_mismatch",
            param=upload.param,
        )


def _refusal(upload: Upload, error: BadImage, *, is_mask: bool) -> InvalidRequest:
    if upload.link is None:
        code = "invalid_mask" if is_mask and error.code == "unsupported_image" else None
        return InvalidRequest(str(error), code=code or error.code, param=upload.param)
    code = "reference_not_image"
    if error.code == "image_too_large":
        code = "reference_too_large"
    return InvalidReference(str(error), code=code, param=upload.param)


async def _to_its_end(put: Coroutine[Any, Any, None]) -> None:
    """Await a put even where its own end was asked for.

    A thread writes on when nobody waits for it any more: what is dropped after that
    must have been written before.
    """
    writing = asyncio.ensure_future(put)
    try:
        await asyncio.shield(writing)
    except asyncio.CancelledError:
        await asyncio.gather(writing, return_exceptions=True)
        raise


async def all_of(work: Iterable[Coroutine[Any, Any, _T]]) -> list[_T]:
    """Await all; the first error ends the others, and is raised when they have ended.

    Unlike `gather`, nothing goes on behind the caller's back.
    """
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one) for one in work]
    except BaseExceptionGroup as exc:
        raise exc.exceptions[0] from exc
    return [task.result() for task in tasks]
