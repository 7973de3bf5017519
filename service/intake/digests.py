"""Which requests are for the same images, so that one job answers for all of them.

Who names no seed takes what an earlier throw of the dice gave; who names one takes
only images of that seed.
"""

from service.core.requests import GenerationRequest
from service.core.sameness import cache_key, normalized
from service.intake.uploads import Uploads

_TEXTS = ("prompt", "negative_prompt")
_NO_MATTER = ("user", "partial_images")
"""Fields that change nothing about the images."""


def cache_key_of(request: GenerationRequest, uploads: Uploads) -> str:
    """Return a hex digest that is equal for requests that want equal images.

    Args:
        request: As composed, before its images are stored.
        uploads: The images, known by what the caller sent: bytes, or links.
    """
    record = request.to_record()
    for name in _TEXTS:
        if name in record:
            record[name] = normalized(record[name])
    for name in _NO_MATTER:
        record.pop(name, None)
    mask = None if uploads.mask is None else uploads.mask.sha256
    return cache_key(record, [image.sha256 for image in uploads.images], mask)
