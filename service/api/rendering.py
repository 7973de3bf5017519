"""Finished images in the body of an answer: as links, or inline as base64."""

import asyncio
from datetime import timedelta
from typing import Any

import orjson
import pybase64

from service.api.calls import Made
from service.api.context import Front
from service.api.views import warnings
from service.core.errors import StoreUnavailable
from service.core.jobs import Job, StoredImage
from service.image_store import ImageStore


async def images_body(
    front: Front, made: Made, *, inline: bool, billing: bool = False
) -> dict[str, Any]:
    """Return OpenAI's images object for the job, with what we know beside it.

    Args:
        front: The front door.
        made: The job.
        inline: As base64 instead of links.
        billing: Whether the caller's dialect tells latency and cost; the operator's
            setting may know better.

    Raises:
        StoreUnavailable: An image that is to stand inline cannot be read.
    """
    job, dropped = made.job, made.accepted.dropped
    images = front.backends.images
    if inline:
        data = await asyncio.gather(*(_inline(images, image) for image in job.images))
    else:
        data = [front.views.image(image) for image in job.images]
    completed = job.completed_at or job.created_at
    body = {
        "created": int(completed.timestamp()),
        "data": data,
        "size": job.request.size,
        "requested_size": job.request.requested_size,
        "output_format": job.request.output_format,
    }
    if job.request.quality is not None:
        body["quality"] = job.request.quality
    if job.request.background is not None:
        body["background"] = job.request.background
    if job.usage is not None:
        body["usage"] = job.usage
    if job.error is not None:
        body["error"] = job.error
    if dropped:
        body["warnings"] = warnings(dropped)
    if _tells_billing(front, by_dialect=billing):
        body |= _billing(job)
    return body


def _tells_billing(front: Front, *, by_dialect: bool) -> bool:
    match front.settings.billing:
        case "always":
            return True
        case "never":
            return False
        case _:
            return by_dialect


def _billing(job: Job) -> dict[str, Any]:
    """Return whole milliseconds from acceptance to the images, and US dollars."""
    took = (job.completed_at or job.created_at) - job.created_at
    cost = None if job.cost_usd is None else float(job.cost_usd)
    return {"latency": took // timedelta(milliseconds=1), "cost": cost}


async def _inline(images: ImageStore, image: StoredImage) -> dict[str, Any]:
    data = await images.get(image.key)
    if data is None:
        raise StoreUnavailable("an image of this job is not in the store")
    text = pybase64.b64encode(data)
    return {
        # Megabytes of ASCII that need no second look, nor a second copy.
        "b64_json": orjson.Fragment(b'"' + text + b'"'),
        "revised_prompt": image.revised_prompt,
    }
