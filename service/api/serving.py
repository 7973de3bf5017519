"""Bytes that never change, served as HTTP's own caches like them.

Entity tags are strong, and whoever has the bytes is told so without their being read.
One range is served; several, or one nobody can read, get the whole, which RFC 9110
allows.
"""

import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import NamedTuple

from aiohttp import web

from service.api.problems import Problem, Refused
from service.core.errors import JobNotFound
from service.core.jobs import StoredImage
from service.image_store import ImageStore

HARMLESS: Mapping[str, str] = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Content-Disposition": "inline",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "cross-origin",
}
"""So that not even bytes that pretend to be a page are run as one."""

_RANGE = re.compile(r"bytes=([0-9]{0,15})-([0-9]{0,15})")
_TAGS = re.compile(r'(?:W/)?("[^"]*")')


class Kept(NamedTuple):
    """Bytes in the store, as HTTP describes them.

    Attributes:
        tag: Another one for other bytes, without its quotes.
    """

    key: str
    tag: str
    size_bytes: int
    content_type: str


async def serve_image(
    request: web.Request,
    image: StoredImage,
    images: ImageStore,
    *,
    headers: Mapping[str, str],
) -> web.Response:
    """Serve an image of a job; see `serve`."""
    kept = Kept(image.key, image.sha256, image.size_bytes, image.content_type)
    return await serve(request, kept, images, headers=headers)


async def serve(
    request: web.Request,
    kept: Kept,
    images: ImageStore,
    *,
    headers: Mapping[str, str],
) -> web.Response:
    """Answer a GET or HEAD of `kept`, with conditions and ranges.

    Args:
        request: As it came.
        kept: What to serve.
        images: Where its bytes lie; a HEAD, or who has them already, needs none.
        headers: Beside those that describe the bytes.

    Raises:
        JobNotFound: The store does not have it any more.
        StoreUnavailable: The store is away.
        Refused: The range lies behind their end (`range_not_satisfiable`).
    """
    tag, size = f'"{kept.tag}"', kept.size_bytes
    shown = {**HARMLESS, **headers, "ETag": tag, "Accept-Ranges": "bytes"}
    if _has(request.headers.get("If-None-Match", ""), tag):
        return web.Response(status=HTTPStatus.NOT_MODIFIED, headers=shown)
    shown["Content-Type"] = kept.content_type
    if request.method == "HEAD":
        return web.Response(headers={**shown, "Content-Length": str(size)})
    part = _asked_part(request, tag, size)
    data = await images.get(kept.key)
    if data is None:
        raise JobNotFound("this job has no such image")  # it is being deleted
    if part is None:
        return web.Response(body=data, headers=shown)
    shown["Content-Range"] = f"bytes {part.start}-{part.stop - 1}/{size}"
    body = data[part.start : part.stop]
    return web.Response(body=body, status=HTTPStatus.PARTIAL_CONTENT, headers=shown)


def _has(tags: str, tag: str) -> bool:
    return tags.strip() == "*" or tag in _TAGS.findall(tags)


def _asked_part(request: web.Request, tag: str, size: int) -> slice | None:
    """Return which bytes are wanted; None: all of them."""
    asked = _RANGE.fullmatch(request.headers.get("Range", ""))
    if asked is None or request.headers.get("If-Range", tag) != tag:
        return None
    first, last = asked.groups()
    if not first and not last:
        return None
    if first and last and int(last) < int(first):
        return None
    if first:
        start, stop = int(first), min(int(last or size) + 1, size)
    else:
        start, stop = max(0, size - int(last)), size
    if start >= size:
        raise Refused(
            Problem(
                status=HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE,
                code="range_not_satisfiable",
                message=f"the image has {size} bytes",
                headers={"Content-Range": f"bytes */{size}"},
            )
        )
    return slice(start, stop)
