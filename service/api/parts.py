"""`multipart/form-data` as bytes come in: a parser that reads nothing by itself.

    for event in parser.feed(chunk):    PartHead, then its bytes, then PartEnd

It is stricter than the RFC asks: no nesting, no transfer encodings, no folded
headers, and nothing is taken for whole whose last boundary is missing.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias
from urllib.parse import unquote

from service.core.errors import InvalidRequest

_MOST_HEAD = 8192
_MOST_HEADERS = 32
_BREAK, _LAST = b"\r\n", b"--"
_BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,./:=? -]{0,69}[0-9A-Za-z'()+_,./:=?-]")
_PARAM = re.compile(
    r';[ \t]*([^\s=;"]+)=("(?:[^"\\]|\\.)*"|"[^"]*"|[^;"\s]*)[ \t]*(?=;|\Z)', re.DOTALL
)
"""Browsers escape no backslash: at the end of a quoted text it may be just that."""
_HALF = re.compile("[\ud800-\udfff]")
_ESCAPED = re.compile(r'\\(["\\])')
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_PLAIN_TRANSFER = frozenset({"", "binary", "8bit", "7bit"})
_BINARY_TYPES = ("image/", "application/octet-stream")


@dataclass(frozen=True, slots=True)
class PartHead:
    """A part begins.

    Attributes:
        name: Of the field.
        is_file: Whether it has a `filename`, whatever that is.
        is_binary: Whether its type is one of bytes; some call all text so.
        filename: As it was sent: not to be trusted, and perhaps not UTF-8.
    """

    name: str
    is_file: bool
    is_binary: bool = False
    filename: str = ""


class PartEnd(NamedTuple):
    """A part is whole."""


PartEvent: TypeAlias = PartHead | PartEnd | bytes


class PartsParser:
    """Feed it the chunks of a body, then `finish` it.

    Whatever it raises is an InvalidRequest (`invalid_multipart`).
    """

    def __init__(self, content_type: str) -> None:
        self._delimiter = b"\r\n--" + _boundary(content_type)
        # The first boundary needs no line break before it; this gives it one.
        self._buffer = bytearray(b"\r\n")
        self._events: list[PartEvent] = []
        self._step = self._preamble

    def feed(self, data: bytes) -> Iterator[PartEvent]:
        """Yield what `data` brings."""
        self._buffer += data
        moved = True
        while moved:
            moved = self._step()
            yield from self._events
            self._events.clear()

    def finish(self) -> None:
        """Hear that nothing follows."""
        if self._step != self._epilogue:
            raise _invalid("it ends before its last boundary")

    # Each step takes what it can from the buffer, and returns whether the next one
    # could go on with what is left.

    def _preamble(self) -> bool:
        found = self._content()
        self._events.clear()
        return found

    def _between(self) -> bool:
        follows = bytes(self._buffer[:2])
        if len(follows) < len(_BREAK):
            return False
        if follows not in (_BREAK, _LAST):
            raise _invalid("a boundary goes on behind its end")
        del self._buffer[:2]
        self._step = self._head if follows == _BREAK else self._epilogue
        return True

    def _head(self) -> bool:
        end = self._buffer.find(b"\r\n\r\n", 0, _MOST_HEAD)
        if end < 0:
            if len(self._buffer) >= _MOST_HEAD:
                raise _invalid("the headers of a part are too long")
            return False
        self._events.append(_read_head(bytes(self._buffer[:end])))
        del self._buffer[: end + 4]
        self._step = self._content
        return True

    def _content(self) -> bool:
        at = self._buffer.find(self._delimiter)
        # The last bytes may be the beginning of a boundary.
        end = at if at >= 0 else len(self._buffer) - len(self._delimiter) + 1
        if end > 0:
            self._events.append(bytes(self._buffer[:end]))
            del self._buffer[:end]
        if at < 0:
            return False
        self._events.append(PartEnd())
        del self._buffer[: len(self._delimiter)]
        self._step = self._between
        return True

    def _epilogue(self) -> bool:
        self._buffer.clear()
        return False


def _boundary(content_type: str) -> bytes:
    _, params = _with_params(content_type)
    boundary = params.get("boundary", "")
    if not _BOUNDARY.fullmatch(boundary):
        raise _invalid("Content-Type has no boundary of 1 to 70 characters")
    return boundary.encode()


def _read_head(head: bytes) -> PartHead:
    headers = _headers(head)
    kind, params = _with_params(headers.get("content-disposition", ""))
    media_type, _ = _with_params(headers.get("content-type", ""))
    if kind != "form-data" or "name" not in params:
        raise _invalid("a part has no name")
    if media_type.startswith("multipart/"):
        raise _invalid("a part is multipart itself")
    if headers.get("content-transfer-encoding", "").lower() not in _PLAIN_TRANSFER:
        raise _invalid("a part has a Content-Transfer-Encoding")
    if _HALF.search(params["name"]):
        raise _invalid("the name of a part is not UTF-8")
    return PartHead(
        params["name"],
        is_file="filename" in params or "filename*" in params,
        is_binary=media_type.startswith(_BINARY_TYPES),
        filename=_filename(params),
    )


def _filename(params: Mapping[str, str]) -> str:
    """Return the name of the file; the one of RFC 8187 knows its charset."""
    charset, _, tagged = params.get("filename*", "").partition("'")
    _, quote, escaped = tagged.partition("'")
    if quote and charset.lower() == "utf-8":
        return unquote(escaped)
    return params.get("filename", "")


def _headers(head: bytes) -> Mapping[str, str]:
    # Old clients write the name of a file in Latin-1.
    lines = head.decode(errors="surrogateescape").split("\r\n")
    if len(lines) > _MOST_HEADERS:
        raise _invalid("a part has too many headers")
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not _HEADER_NAME.fullmatch(name) or name.lower() in headers:
            raise _invalid("a header of a part is malformed")
        headers[name.lower()] = value.strip(" \t")
    return headers


def _with_params(value: str) -> tuple[str, Mapping[str, str]]:
    """Return what stands before the first semicolon, and the parameters behind it."""
    kind, semicolon, rest = value.partition(";")
    params: dict[str, str] = {}
    at, rest = 0, semicolon + rest
    while at < len(rest):
        found = _PARAM.match(rest, at)
        if found is None or found[1].lower() in params:
            raise _invalid("the parameters of a header are malformed")
        quoted = found[2].startswith('"')
        text = _ESCAPED.sub(r"\1", found[2][1:-1]) if quoted else found[2]
        params[found[1].lower()] = text
        at = found.end()
    return kind.strip(" \t").lower(), params


def _invalid(why: str) -> InvalidRequest:
    return InvalidRequest(f"the form is malformed: {why}", code="invalid_multipart")
