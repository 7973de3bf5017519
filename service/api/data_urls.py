"""JSON in which images stand as base64 `data:` URLs, each as large as a file may be.

All else of such a body is held to what a body without images may have. It is parsed
in a thread, one at a time, with its images put aside: what is handed on is small.
"""

import asyncio
import re
from typing import Any

import pybase64
from aiohttp import web

from service.api.body import Body, parse_object, too_large
from service.core.errors import InvalidRequest
from service.intake.spool import Held, Holding, Spool
from service.settings import Limits

_MARK = b'"data:image'
_HEAD = re.compile(r"data:image/[a-z0-9.+-]{1,40};base64,", re.IGNORECASE)


async def read_json_with_images(
    request: web.Request, *, limits: Limits, spool: Spool, turn: asyncio.Lock
) -> dict[str, Any]:
    """Return the JSON object that the request carries, without its images.

    Args:
        request: Its headers have been checked.
        limits: Of JSON, of files, and of all together.
        spool: Where the images go; in the object a `Held` stands for each.
        turn: Held while a body with images is in memory.

    Raises:
        InvalidRequest: See `read_json`; or `file_too_large`.
        Unavailable: There is no room for it.
    """
    body = Body(request, most_bytes=limits.upload_bytes, within_s=limits.body_s)
    text, has_images, tail = Spool(), False, b""
    try:
        async for chunk in body:
            if not has_images:
                tail += chunk
                has_images = _MARK in tail
                tail = tail[-len(_MARK) :]
            if body.arrived > limits.json_bytes:
                if not has_images:
                    raise too_large(limits.json_bytes)
                body.allow(within_s=limits.upload_s)
            await text.add(chunk)
        if not has_images:
            return parse_object(await text.read(0, text.size))
        async with turn:
            data = await text.read(0, text.size)
            return await asyncio.to_thread(_without_images, data, spool, limits)
    finally:
        text.close()


def _without_images(data: bytes, spool: Spool, limits: Limits) -> dict[str, Any]:
    images = _Images(spool, limits.file_bytes)
    fields: dict[str, Any] = images.held(parse_object(data))
    if len(data) - images.encoded_bytes > limits.json_bytes:
        raise too_large(limits.json_bytes)
    return fields


class _Images:
    def __init__(self, spool: Spool, most_bytes: int) -> None:
        self._spool, self._most_bytes = spool, most_bytes
        self.encoded_bytes = 0

    def held(self, value: Any) -> Any:
        """Return `value` with all images in it put aside."""
        if isinstance(value, dict):
            return {name: self.held(inner) for name, inner in value.items()}
        if isinstance(value, list):
            return [self.held(inner) for inner in value]
        head = _HEAD.match(value) if isinstance(value, str) else None
        return value if head is None else self._decoded(value, head.end())

    def _decoded(self, url: str, start: int) -> Held | str:
        """Return the image; or the URL as it is, which nobody will take for one."""
        self.encoded_bytes += len(url)
        file = Holding(self._spool)
        try:
            data = pybase64.b64decode(url[start:], validate=True)
        except ValueError:
            return url
        if len(data) > self._most_bytes:
            raise file_too_large(self._most_bytes)
        file.write(data)
        return file.held()


def file_too_large(most_bytes: int, *, param: str | None = None) -> InvalidRequest:
    """Return the error for an image that is longer than that."""
    return InvalidRequest(
        f"an image has more than {most_bytes:,} bytes",
        code="file_too_large",
        param=param,
    )
