"""Which calls are repeats of one, and which requests are for the same images.

A repeat is equal in all that was said. For the cache only what decides the images
counts; who names no seed takes what an earlier throw of the dice gave.
"""

import hashlib

import orjson

from service.core.requests import GenerationRequest
from service.core.sameness import cache_key, normalized
from service.intake.uploads import Uploads

_TEXTS = ("prompt", "negative_prompt")
_NO_MATTER = ("user", "partial_images", "failover_on_refusal")
"""Fields that change nothing about the images."""


def content_of(
    request: GenerationRequest, uploads: Uploads, *conditions: object
) -> str:
    """Return a hex digest that is equal for a call and its repeats.

    Args:
        request: As composed, before its images are stored.
        uploads: The images, known by what the caller sent: a retried form has a new
            boundary, and the same files.
        conditions: What else was said, as JSON can hold it.
    """
    matter = [request.to_record(), *conditions]
    if uploads.images:
        matter += _digests(uploads)
    canonical = orjson.dumps(matter, option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(canonical).hexdigest()


def cache_key_of(request: GenerationRequest, uploads: Uploads) -> str:
    """Return a hex digest that is equal for requests that want equal images.

    Args:
        request: As composed, before its images are stored.
        uploads: See `content_of`; a link is known by its text.
    """
    record = request.to_record()
    for name in _TEXTS:
        if name in record:
            record[name] = normalized(record[name])
    for name in _NO_MATTER:
        record.pop(name, None)
    return cache_key(record, *_digests(uploads))


def _digests(uploads: Uploads) -> tuple[list[str], str | None]:
    mask = None if uploads.mask is None else uploads.mask.sha256
    return [image.sha256 for image in uploads.images], mask
