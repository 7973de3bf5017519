"""Multipart bodies that go out."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from io import BytesIO

import aiohttp


@dataclass(frozen=True, slots=True)
class File:
    """A file of a form; what it is called matters to some who guess by it."""

    data: bytes = field(repr=False)
    content_type: str
    filename: str


Form = Sequence[tuple[str, str | File]]
"""Fields and files, in order; names may repeat."""


def multipart(form: Form) -> aiohttp.FormData:
    """Return the body; multipart even where there is no file in it."""
    body = aiohttp.FormData(default_to_multipart=True, quote_fields=False)
    for name, value in form:
        if isinstance(value, File):
            body.add_field(
                name,
                BytesIO(value.data),  # bytes would be copied into one buffer more
                content_type=value.content_type,
                filename=value.filename,
            )
        else:
            body.add_field(name, value)
    return body
