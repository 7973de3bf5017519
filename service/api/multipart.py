"""A form: `multipart/form-data`, streamed to where it does no harm.

aiohttp's own reader knows no limits but one in all, inflates and recodes parts, and
answers a boundary that is missing with a crash; the parser here is ours.
"""

import re
from typing import Any, NamedTuple

from aiohttp import web

from service.api.body import Body, too_large
from service.api.data_urls import file_too_large
from service.api.input_images import InputImages, holds_image
from service.api.parts import PartEnd, PartHead, PartsParser
from service.core.errors import InvalidRequest
from service.intake.spool import Holding, Spool
from service.intake.uploads import Uploads
from service.settings import Limits

_MOST_PARTS = 64
_SHOWN = 64
_INNER = re.compile(r"([^\[\]]+)\[([^\[\]]+)\]")


class Form(NamedTuple):
    """What a form said.

    Attributes:
        fields: Text by name; `a[b]` is `b` in a dictionary `a`.
        uploads: The files, and the links that were given in their place.
    """

    fields: dict[str, Any]
    uploads: Uploads


async def read_form(request: web.Request, *, limits: Limits, spool: Spool) -> Form:
    """Return the form that the request carries.

    Args:
        request: Its body is `multipart/form-data`.
        limits: Of all text together (that of JSON), of a file, and of everything.
        spool: Where the files go.

    Raises:
        InvalidRequest: It is malformed, or has too much of something; a body that was
            not read to its end closes the connection behind the answer.
        Unavailable: There is no room for it.
    """
    parser = PartsParser(request.headers.get("Content-Type", ""))
    reader = _Reader(limits, spool)
    body = Body(request, most_bytes=limits.upload_bytes, within_s=limits.body_s)
    async for chunk in body:
        if body.arrived > limits.json_bytes:
            body.allow(within_s=limits.upload_s)
        for event in parser.feed(chunk):
            if isinstance(event, bytes):
                await reader.more(event)
            elif isinstance(event, PartHead):
                reader.begin(event)
            elif isinstance(event, PartEnd):
                reader.end()
    parser.finish()
    return Form(reader.fields, reader.images.uploads())


class _Reader:
    """Puts each part where it belongs."""

    def __init__(self, limits: Limits, spool: Spool) -> None:
        self.fields: dict[str, Any] = {}
        self.images = InputImages()
        self._limits, self._spool = limits, spool
        self._parts = self._text_bytes = 0
        self._name = ""
        self._file: Holding | None = None
        self._text = bytearray()

    def begin(self, head: PartHead) -> None:
        self._parts += 1
        if self._parts > _MOST_PARTS:
            raise InvalidRequest(
                f"the form has more than {_MOST_PARTS} parts", code="too_many_parts"
            )
        self._name, self._file = head.name, None
        if head.is_file and not self._is_image:
            raise InvalidRequest(
                "a file is sent in a field that takes none",
                code="unknown_field",
                param=head.name[:_SHOWN],
            )
        if head.is_file or (head.is_binary and self._is_image):
            self._file = Holding(self._spool)
        self._text = bytearray()

    async def more(self, data: bytes) -> None:
        if self._file is None:
            self._text += data
            self._text_bytes += len(data)
            if self._text_bytes > self._limits.json_bytes:
                raise too_large(self._limits.json_bytes)
            return
        if self._file.size + len(data) > self._limits.file_bytes:
            raise file_too_large(self._limits.file_bytes, param=self._name)
        await self._file.add(data)

    def end(self) -> None:
        if self._file is not None:
            self.images.add(self._name, self._file.held())
        elif self._is_image:
            self.images.add(self._name, self._decoded())
        else:
            self._put(self._decoded())

    @property
    def _is_image(self) -> bool:
        return holds_image(self._name)

    def _decoded(self) -> str:
        try:
            return self._text.decode()
        except UnicodeDecodeError:
            raise InvalidRequest(
                "a field of the form is not UTF-8",
                code="invalid_encoding",
                param=self._name[:_SHOWN],
            ) from None

    def _put(self, text: str) -> None:
        fields: Any = self.fields
        name = self._name
        inner = _INNER.fullmatch(name)
        if inner is not None:
            fields, name = fields.setdefault(inner[1], {}), inner[2]
        if not isinstance(fields, dict) or name in fields:
            raise InvalidRequest(
                "a field of the form occurs twice",
                code="duplicate_field",
                param=self._name[:_SHOWN],
            )
        fields[name] = text
