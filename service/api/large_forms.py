"""A form with one large file in it, which goes to the store as it comes.

What the file is for may be said behind it, so nobody looks at the fields before the
form is whole; a file that is refused then is dropped.
"""

import re
from typing import Any, NamedTuple

from aiohttp import web

from service.api.body import Body
from service.api.data_urls import file_too_large
from service.api.form_fields import FormFields, duplicate, takes_no_file
from service.api.multipart import events_in
from service.api.parts import PartEnd, PartHead
from service.core.errors import InvalidRequest
from service.files.writing import Writing
from service.settings import Limits

_FILE = "file"
_SLASHES = re.compile(r"[/\\]")
_LONGEST_NAME = 255
_NAMELESS = "file"


class LargeForm(NamedTuple):
    """What a form said.

    Attributes:
        fields: Text by name; `a[b]` is `b` in a dictionary `a`.
        filename: Harmless to show.
    """

    fields: dict[str, Any]
    filename: str


async def read_large_form(
    request: web.Request, writing: Writing, *, limits: Limits
) -> LargeForm:
    """Read the form that the request carries, and write its `file`.

    Args:
        request: Its body is `multipart/form-data`.
        writing: Takes the file in.
        limits: Of all text together (that of JSON), of the file, and how fast it is to
            come.

    Raises:
        InvalidRequest: It is malformed, has too much of something, or no file.
        Unavailable: The store does not take it.
    """
    reader = _Reader(writing, limits)
    body = Body(
        request,
        most_bytes=limits.uploaded_file_bytes + limits.json_bytes,
        within_s=limits.body_s,
        bytes_per_s=limits.upload_bytes_per_s,
    )
    async for event in events_in(request, body):
        if isinstance(event, bytes):
            await reader.more(event)
        elif isinstance(event, PartHead):
            reader.begin(event)
        elif isinstance(event, PartEnd):
            reader.end()
    return reader.read()


class _Reader:
    """Puts each part where it belongs."""

    def __init__(self, writing: Writing, limits: Limits) -> None:
        self._writing, self._limits = writing, limits
        self._fields = FormFields(most_bytes=limits.json_bytes)
        self._filename: str | None = None
        self._is_file = False

    def begin(self, head: PartHead) -> None:
        self._fields.begin(head.name)
        self._is_file = head.name == _FILE
        if head.is_file and not self._is_file:
            raise takes_no_file(head.name)
        if self._is_file:
            if self._filename is not None:
                raise duplicate(_FILE)
            self._filename = _harmless(head.filename)

    async def more(self, data: bytes) -> None:
        if not self._is_file:
            self._fields.more(data)
            return
        most_bytes = self._limits.uploaded_file_bytes
        if self._writing.size + len(data) > most_bytes:
            raise file_too_large(most_bytes, param=_FILE, what="the file")
        await self._writing.add(data)

    def end(self) -> None:
        if not self._is_file:
            self._fields.put()

    def read(self) -> LargeForm:
        if self._filename is None:
            raise InvalidRequest("file is required", code="missing_field", param=_FILE)
        if not self._writing.size:
            raise InvalidRequest("file is empty", code="empty_file", param=_FILE)
        return LargeForm(self._fields.values, self._filename)


def _harmless(filename: str) -> str:
    """Return the name without its folders, and without what hides or overwrites."""
    name = _SLASHES.split(filename)[-1]
    shown = "".join(character for character in name if character.isprintable())
    return shown.strip()[:_LONGEST_NAME] or _NAMELESS
