"""Images that stand in JSON as base64 `data:` URLs, taken out while the text comes in.

Each may be as large as a file, and none is ever in memory; a placeholder that nobody
can guess stands for it in the text, which is held to the limit of any other JSON and
only then parsed. Behind the name of a field that is for no image it stays text: a
prompt may be anything.
"""

import re
import secrets
from typing import Any

import pybase64
from aiohttp import web

from service.api.body import Body, parse_object, too_large
from service.api.input_images import LINK_NAMES, holds_image
from service.core.errors import InvalidRequest
from service.intake.spool import Held, Holding, Spool
from service.settings import Limits

_HEAD = re.compile(
    rb'"data:(?:image\\?/[a-z0-9.+-]{1,40}|application\\?/octet-stream)'
    rb'(?:;[^;,"\\]{1,80}){0,3}?;base64,',
    re.IGNORECASE,
)
_LONGEST_HEAD = 320
_NAME = re.compile(rb'"([^"\\]*)"[ \t\r\n]*:[ \t\r\n]*\Z')
_LONGEST_NAME = 128
_QUOTE, _ESCAPE = b'"', b"\\"
_QUARTET = 4
_STEP = 16_384
"""The buffer is cut anew behind every image, so it had better be short."""

_NO_IMAGE = "data:"
"""Stands for base64 that is none; whoever reads it as an image says so."""


async def read_json_with_images(
    request: web.Request, *, limits: Limits, spool: Spool
) -> dict[str, Any]:
    """Return the JSON object that the request carries, without its images.

    Args:
        request: Its headers have been checked.
        limits: Of JSON, of files, and of all together.
        spool: Where the images go; in the object a `Held` stands for each.

    Raises:
        InvalidRequest: See `read_json`; or `file_too_large`.
        Unavailable: There is no room for it.
    """
    body = Body(request, most_bytes=limits.upload_bytes, within_s=limits.body_s)
    images = DataUrls(spool, most_bytes=limits.file_bytes)
    async for chunk in body:
        is_all = request.content.at_eof() and len(chunk) == body.arrived
        if is_all and len(chunk) <= limits.json_bytes and not _HEAD.search(chunk):
            return parse_object(chunk)  # as nearly all are
        await images.feed(chunk)
        if images.plain_bytes > limits.json_bytes:
            raise too_large(limits.json_bytes)
        if body.arrived > limits.json_bytes:
            body.allow(within_s=limits.upload_s)
    return images.finish()


class DataUrls:
    """Feed it the chunks of a JSON text, then `finish` it.

    Args:
        spool: Where the images go.
        most_bytes: Of one image.
    """

    def __init__(self, spool: Spool, *, most_bytes: int) -> None:
        self._text = bytearray()
        self._spool, self._most_bytes = spool, most_bytes
        self._placeholder = secrets.token_hex(16)
        self._put_in_place = 0
        self._buffer = b""
        self._image: _Image | None = None
        self._images: list[Held | str] = []

    @property
    def plain_bytes(self) -> int:
        """How much has come that belongs to no image."""
        pending = len(self._buffer) if self._image is None else 0
        return len(self._text) + pending - self._put_in_place

    async def feed(self, chunk: bytes) -> None:
        """Go on with `chunk`.

        Raises:
            InvalidRequest: `file_too_large`.
        """
        for start in range(0, len(chunk), _STEP):
            self._buffer += chunk[start : start + _STEP]
            moved = True
            while moved:
                if self._image is None:
                    moved = self._read_text()
                else:
                    moved = await self._read_image(self._image)

    def finish(self) -> dict[str, Any]:
        """Return the object, a `Held` in the place of each image.

        Raises:
            InvalidRequest: See `parse_object`.
        """
        self._text += self._buffer
        fields = parse_object(bytes(self._text))
        return self._filled(fields) if self._images else fields

    def _read_text(self) -> bool:
        head = _HEAD.search(self._buffer)
        if head is None:
            # The beginning of one may be at the end.
            end = max(0, len(self._buffer) - _LONGEST_HEAD)
            self._keep(end)
            return False
        self._keep(head.start())
        if self._is_escaped() or not self._may_be_image():
            self._keep(1)
            return True
        self._buffer = self._buffer[head.end() - head.start() :]
        self._image = _Image(Holding(self._spool))
        return True

    async def _read_image(self, image: "_Image") -> bool:
        piece, quote, rest = self._buffer.partition(_QUOTE)
        self._buffer = rest
        await image.add(piece)
        if image.file.size > self._most_bytes:
            raise file_too_large(self._most_bytes)
        if not quote:
            return False
        stand_in = f'"{self._placeholder}{len(self._images)}"'.encode()
        self._text += stand_in
        self._put_in_place += len(stand_in) - len(_QUOTE + _QUOTE)
        self._images.append(image.whole())
        self._image = None
        return True

    def _keep(self, size: int) -> None:
        self._text += self._buffer[:size]
        self._buffer = self._buffer[size:]

    def _may_be_image(self) -> bool:
        """Whether what comes now has a name that images have, or stands in a list."""
        name = _NAME.search(bytes(self._text[-_LONGEST_NAME:]))
        if name is None:
            return True
        field = name[1].decode(errors="replace")
        return field in LINK_NAMES or holds_image(field)

    def _is_escaped(self) -> bool:
        """Whether the quotation mark that comes now is one within a string."""
        end = at = len(self._text)
        while at > 0 and self._text[at - 1] == _ESCAPE[0]:
            at -= 1
        return (end - at) % 2 == 1

    def _filled(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {name: self._filled(inner) for name, inner in value.items()}
        if isinstance(value, list):
            return [self._filled(inner) for inner in value]
        if isinstance(value, str) and value.startswith(self._placeholder):
            return self._images[int(value.removeprefix(self._placeholder))]
        return value


class _Image:
    """Base64 on its way to bytes; some write its slashes with a backslash in JSON."""

    def __init__(self, file: Holding) -> None:
        self.file = file
        self._rest = b""
        self._is_base64 = True
        self._has_ended = False

    async def add(self, piece: bytes) -> None:
        text = (self._rest + piece).replace(b"\\/", b"/")
        end = len(text) - len(text) % _QUARTET
        if text.endswith(_ESCAPE):
            end = min(end, len(text) - 1) // _QUARTET * _QUARTET
        text, self._rest = text[:end], text[end:]
        if not text or not self._is_base64:
            return
        self._is_base64 = not self._has_ended
        self._has_ended = b"=" in text
        try:
            data = pybase64.b64decode(text, validate=True)
        except ValueError:
            self._is_base64 = False
            return
        await self.file.add(data)

    def whole(self) -> Held | str:
        """Return the image, or what stands for one that cannot be read."""
        if self._rest or not self._is_base64:
            return _NO_IMAGE
        return self.file.held()


def file_too_large(
    most_bytes: int, *, param: str | None = None, what: str = "an image"
) -> InvalidRequest:
    """Return the error for a file that is longer than that."""
    return InvalidRequest(
        f"{what} has more than {most_bytes:,} bytes",
        code="file_too_large",
        param=param,
    )
