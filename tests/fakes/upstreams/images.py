"""Images as they travel in JSON and forms, on their way to a provider and back."""

import base64
from io import BytesIO
from typing import Any

from aiohttp import web
from PIL import Image

from tests.fakes.upstreams.words import Link, Refusal, Result


def opened(data: bytes) -> Image.Image:
    """Decode what an adapter sent along.

    Raises:
        Refusal: It is no image, which every provider refuses.
    """
    try:
        image = Image.open(BytesIO(data))
        image.load()
    except Exception as exc:
        raise Refusal(400, "invalid_image") from exc
    return image


def decoded(text: str) -> bytes:
    """Return the image that stands there in base64.

    Raises:
        Refusal: There is none.
    """
    data = base64.b64decode(text)
    opened(data)
    return data


def decoded_url(link: str) -> bytes:
    """Return the image within a `data:` URL.

    Raises:
        Refusal: There is none.
    """
    return decoded(link.partition(",")[2])


def inline(result: Result) -> str:
    """Return base64; for providers that never answer with a link."""
    assert not isinstance(result, Link)
    return base64.b64encode(result).decode()


async def form_fields(request: web.Request) -> dict[str, Any]:
    """Return a form by its names, files as their bytes."""
    return {
        name: value.file.read() if isinstance(value, web.FileField) else value
        for name, value in (await request.post()).items()
    }
