"""A form: `multipart/form-data`, streamed to where it does no harm.

aiohttp's own reader knows no limits but one in all, inflates and recodes parts, and
answers a boundary that is missing with a crash; the parser here is ours.
"""

from collections.abc import AsyncIterator
from typing import Any, NamedTuple

from aiohttp import web

from service.api.body import Body
from service.api.data_urls import file_too_large
from service.api.form_fields import FormFields, takes_no_file
from service.api.input_images import InputImages, holds_image
from service.api.parts import PartEnd, PartEvent, PartHead, PartsParser
from service.intake.spool import Holding, Spool
from service.intake.uploads import Uploads
from service.settings import Limits


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
    reader = _Reader(limits, spool)
    body = Body(request, most_bytes=limits.upload_bytes, within_s=limits.body_s)
    async for event in events_in(request, body):
        if body.arrived > limits.json_bytes:
            body.allow(within_s=limits.upload_s)
        if isinstance(event, bytes):
            await reader.more(event)
        elif isinstance(event, PartHead):
            reader.begin(event)
        elif isinstance(event, PartEnd):
            reader.end()
    return Form(reader.fields.values, reader.images.uploads())


async def events_in(request: web.Request, body: Body) -> AsyncIterator[PartEvent]:
    """Yield the parts of a form, and their content, as they come.

    Raises:
        InvalidRequest: It is malformed, or `body` has too much of something.
    """
    parser = PartsParser(request.headers.get("Content-Type", ""))
    async for chunk in body:
        for event in parser.feed(chunk):
            yield event
    parser.finish()


class _Reader:
    """Puts each part where it belongs."""

    def __init__(self, limits: Limits, spool: Spool) -> None:
        self.fields = FormFields(most_bytes=limits.json_bytes)
        self.images = InputImages()
        self._limits, self._spool = limits, spool
        self._name = ""
        self._file: Holding | None = None
        self._is_named = False

    def begin(self, head: PartHead) -> None:
        self.fields.begin(head.name)
        self._name, self._file = head.name, None
        self._is_named = bool(head.filename)
        if head.is_file and not self._is_image:
            raise takes_no_file(head.name)
        if head.is_file or (head.is_binary and self._is_image):
            self._file = Holding(self._spool)

    async def more(self, data: bytes) -> None:
        if self._file is None:
            self.fields.more(data)
            return
        if self._file.size + len(data) > self._limits.file_bytes:
            raise file_too_large(self._limits.file_bytes, param=self._name)
        await self._file.add(data)

    def end(self) -> None:
        if self._file is not None and not self._file.size and not self._is_named:
            return  # a browser's form, in which no file was chosen
        if self._file is not None:
            self.images.add(self._name, self._file.held())
        elif self._is_image:
            self.images.add(self._name, self.fields.text())
        else:
            self.fields.put()

    @property
    def _is_image(self) -> bool:
        return holds_image(self._name)
