"""From what a provider sent to images in the store: decoded, converted, put.

What was paid for is not given up: the store may be away, the lease is renewed
meanwhile, and the put is tried until it holds.
"""

import asyncio
import hashlib

import structlog

from service.core.errors import BadImage, BadOutput, StoreUnavailable, Unavailable
from service.core.jobs import StoredImage
from service.core.provider import Generated
from service.core.requests import GenerationRequest
from service.image_store import ImageStore
from service.imaging import ImageFacts, Imaging
from service.job_store.lease import Lease
from service.job_store.tally import Tally

log = structlog.get_logger()

PAUSE_S = 0.5
_TYPES = {"png": "image/png", "jpeg": "image/jpeg", "webp": "image/webp"}


async def keep_images(
    images: ImageStore,
    imaging: Imaging,
    lease: Lease,
    request: GenerationRequest,
    made: Generated,
    tally: Tally,
) -> tuple[StoredImage, ...]:
    """Check, convert where needed, and store what was made; bad ones are left out.

    Raises:
        BadOutput: Not one of them is an image.
    """
    kept, last_fault = list[StoredImage](), None
    for image in made.images[: request.n]:
        try:
            data, facts = await _checked(imaging, request, image.data)
        except BadImage as fault:
            log.warning("image.refused", code=fault.code, size_bytes=len(image.data))
            last_fault = fault
            continue
        key = f"jobs/{lease.job_id}/{lease.fence}/{len(kept)}"
        await put_patiently(images, key, data, facts.content_type, tally=tally)
        kept.append(
            StoredImage(
                key=key,
                sha256=hashlib.sha256(data).hexdigest(),
                width=facts.width,
                height=facts.height,
                content_type=facts.content_type,
                size_bytes=len(data),
                revised_prompt=image.revised_prompt,
            )
        )
    if not kept:
        raise BadOutput(
            "the provider's answer held no usable image",
            upstream_id=made.upstream_id,
            billed=True,
        ) from last_fault
    return tuple(kept)


async def put_patiently(
    images: ImageStore,
    key: str,
    data: bytes,
    content_type: str,
    *,
    tally: Tally | None = None,
) -> None:
    """Store bytes that were paid for, however long the store is away."""
    while True:
        try:
            return await images.put(key, data, content_type=content_type)
        except StoreUnavailable as exc:
            log.warning("image.not_stored", error=str(exc))
            if tally is not None:
                tally.erred("store")
            await asyncio.sleep(PAUSE_S)


async def _checked(
    imaging: Imaging, request: GenerationRequest, data: bytes
) -> tuple[bytes, ImageFacts]:
    while True:
        try:
            return await as_asked(imaging, request, data)
        except Unavailable as exc:  # ours: no child process would start
            log.warning("image.not_checked", error=str(exc))
            await asyncio.sleep(PAUSE_S)


async def as_asked(
    imaging: Imaging, request: GenerationRequest, data: bytes
) -> tuple[bytes, ImageFacts]:
    """Return the image in the format that was asked for.

    Raises:
        BadImage: It is none.
        Unavailable: It cannot be looked at just now.
    """
    facts = await imaging.check(data)
    if facts.content_type == _TYPES[request.output_format]:
        return data, facts
    return await imaging.convert(
        data,
        output_format=request.output_format,
        compression=request.output_compression,
    )
