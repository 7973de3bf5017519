"""What a call carries along: JSON, a form with a file, or lines, few of them in memory.

All but lines out of an iterator can be sent again when the call has to be repeated.
"""

import base64
import json
import os
from collections.abc import (
    AsyncIterable,
    AsyncIterator,
    Callable,
    Iterable,
    Iterator,
    Mapping,
)
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

ImageSource = bytes | os.PathLike[str] | str
"""An image's bytes, the `Path` of a file with them, or its URL; a `str` is that."""

Line = Mapping[str, Any] | str | bytes
"""A request's fields, its prompt alone, or a line of JSON as it stands."""

LineSource = str | os.PathLike[str] | Iterable[Line] | AsyncIterable[Line]
"""The path of a JSONL file, or lines from anywhere."""

_CHUNK_BYTES = 65_536
_MAGIC = (
    (b"\x89PNG\r\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"RIFF", "image/webp"),
)
_UNKNOWN = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class Json:
    """A JSON object."""

    value: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """A form with one file, which is open, or whose bytes these are."""

    fields: Mapping[str, str]
    filename: str
    file: BinaryIO | bytes


class Lines:
    """Lines of JSON that are sent while they are made or read."""

    def __init__(self, source: LineSource) -> None:
        self._source: Path | Iterable[Line] | AsyncIterable[Line]
        if isinstance(source, str | os.PathLike):
            self._source = Path(source)
        else:
            self._source = source
        self._begun = False

    @property
    def is_spent(self) -> bool:
        """Whether some have been taken out of what yields them only once."""
        once = hasattr(self._source, "__next__") or hasattr(self._source, "__anext__")
        return self._begun and once

    def chunks(self) -> Iterator[bytes]:
        """Yield them, many at once.

        Raises:
            TypeError: They can only be had with `async for`.
        """
        self._begun = True
        if isinstance(self._source, AsyncIterable):
            raise TypeError("lines that are awaited need an AsyncDarkroom")
        if isinstance(self._source, Path):
            yield from _read(self._source)
            return
        chunk = bytearray()
        for line in self._source:
            chunk += encoded_line(line)
            if len(chunk) >= _CHUNK_BYTES:
                yield bytes(chunk)
                chunk.clear()
        yield bytes(chunk)

    async def awaited_chunks(self) -> AsyncIterator[bytes]:
        """Yield them, many at once."""
        if not isinstance(self._source, AsyncIterable):
            for chunk in self.chunks():
                yield chunk
            return
        self._begun = True
        pack = bytearray()
        async for line in self._source:
            pack += encoded_line(line)
            if len(pack) >= _CHUNK_BYTES:
                yield bytes(pack)
                pack.clear()
        yield bytes(pack)


Body = Json | Form | Lines


def body_options(body: Body | None, lines: Callable[[Lines], Any]) -> dict[str, Any]:
    """Return how httpx takes `body`, whose lines are had by `lines`."""
    match body:
        case None:
            return {}
        case Json():
            content = encoded(body.value)
            return {"content": content, "headers": _typed("application/json")}
        case Form():
            file = (body.filename, body.file, _UNKNOWN)
            return {"data": body.fields, "files": {"file": file}}
        case Lines():
            return {"content": lines(body), "headers": _typed("application/x-ndjson")}


def encoded(value: object) -> bytes:
    """Return JSON on one line.

    Raises:
        ValueError: There is half a character in it, or a number that is none.
    """
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.encode()


def encoded_line(line: Line) -> bytes:
    """Return one line of a batch, with its end."""
    if isinstance(line, bytes):
        return line.rstrip(b"\r\n") + b"\n"
    fields = {"prompt": line} if isinstance(line, str) else with_images(line)
    return encoded(fields) + b"\n"


def with_images(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a request, with files and bytes as data URLs.

    A text is never taken for a path: it may be somebody else's.

    Raises:
        OSError: A file cannot be read.
    """
    sent = dict(fields)
    if isinstance(sent.get("images"), list | tuple):
        sent["images"] = [_image_url(image) for image in sent["images"]]
    if "mask" in sent:
        sent["mask"] = _image_url(sent["mask"])
    return sent


def _image_url(source: Any) -> Any:
    if isinstance(source, os.PathLike):
        source = Path(source).read_bytes()
    if not isinstance(source, bytes):
        return source
    kind = next((kind for magic, kind in _MAGIC if source.startswith(magic)), _UNKNOWN)
    return f"data:{kind};base64,{base64.b64encode(source).decode()}"


def _read(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            yield chunk


def _typed(content_type: str) -> dict[str, str]:
    return {"Content-Type": content_type}
