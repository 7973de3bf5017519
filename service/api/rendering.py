"""Finished images as callers read them: as links, or inline as base64."""

import asyncio
from datetime import timedelta
from typing import Any, NamedTuple

import orjson
import pybase64

from service.api.context import Front
from service.core.errors import JobDeleted, StoreUnavailable
from service.core.jobs import Job, StoredImage
from service.intake import Accepted
from service.views import warnings


class Made(NamedTuple):
    """A job that succeeded while its caller waited, and how it was accepted."""

    job: Job
    accepted: Accepted


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
        JobDeleted: Likewise, with its job.
    """
    job, dropped = made.job, made.accepted.dropped
    data = await asyncio.gather(
        *(rendered(front, job, image, inline=inline) for image in job.images)
    )
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
        body["usage"] = usage(job)
    if job.error is not None:
        body["error"] = job.error
    if dropped:
        body["warnings"] = warnings(dropped)
    return body | billed(front, job, by_dialect=billing)


def check_present(job: Job) -> None:
    """Check that the images of a job that succeeded are still there.

    Raises:
        JobDeleted: It was ephemeral, and they were delivered before.
    """
    if not job.images:
        raise _delivered()


def _delivered() -> JobDeleted:
    return JobDeleted("the images were ephemeral, and have been delivered")


async def rendered(
    front: Front, job: Job, image: StoredImage, *, inline: bool
) -> dict[str, Any]:
    """Return one finished image of the job.

    Raises:
        StoreUnavailable: It is to stand inline and cannot be read.
        JobDeleted: Likewise, with its job.
    """
    if not inline:
        return front.views.image(image)
    data = await read_image(front, job, image)
    return {"b64_json": base64_of(data), "revised_prompt": image.revised_prompt}


async def read_image(front: Front, job: Job, image: StoredImage) -> bytes:
    """Return the bytes of one finished image of the job.

    Raises:
        StoreUnavailable: They cannot be read; where they are lost, the next call that
            asks for the cache makes others.
        JobDeleted: They went with the job, or were ephemeral and are delivered.
    """
    data = await front.backends.images.get(image.key)
    if data is not None:
        return data
    if job.ephemeral:  # its images go before its record says so
        raise _delivered()
    await front.backends.jobs.get(job.id, account=job.account)
    await front.backends.jobs.lose(job.id)
    raise StoreUnavailable("an image of this job is not in the store")


def base64_of(data: bytes) -> orjson.Fragment:
    """Return `data` for orjson, which is spared a look at megabytes of ASCII."""
    return orjson.Fragment(b'"' + pybase64.b64encode(data) + b'"')


def usage(job: Job) -> dict[str, Any] | None:
    """Return the provider's figures, tokens in OpenAI's nesting."""
    if job.usage is None or "input_tokens" not in job.usage:
        return job.usage
    flat = dict(job.usage)
    image_tokens = flat.pop("input_image_tokens", 0)
    text_tokens = flat.pop("input_text_tokens", flat["input_tokens"] - image_tokens)
    details = {"text_tokens": text_tokens, "image_tokens": image_tokens}
    return {**flat, "input_tokens_details": details}


def billed(front: Front, job: Job, *, by_dialect: bool) -> dict[str, Any]:
    """Return latency and cost where they are to be told, else nothing.

    Whole milliseconds from acceptance to the images, and US dollars.
    """
    setting = front.settings.billing
    if setting == "never" or (setting == "dialect" and not by_dialect):
        return {}
    took = (job.completed_at or job.created_at) - job.created_at
    cost = None if job.cost_usd is None else float(job.cost_usd)
    return {"latency": took // timedelta(milliseconds=1), "cost": cost}
