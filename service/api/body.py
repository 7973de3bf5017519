"""The one way to read a request body, and JSON strictly: bounded in all it does.

aiohttp alone would inflate, recode and wait for ever; nothing else in this package
touches `request.content`.
"""

import asyncio
import json
import math
import time
from typing import Any, Self

import orjson
from aiohttp import web

from service.core.errors import InvalidRequest

MOST_DEPTH = 32

JSON = "application/json"
FORM = "multipart/form-data"
NDJSON = frozenset({"application/x-ndjson", "application/jsonl"})
_PLAIN_TYPES = frozenset({JSON, "application/json; charset=utf-8"})
_CHARSETS = frozenset({"utf-8", "utf8"})
_MARKS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")
_HEAD = 4


class Body:
    """A body as it arrives, chunk by chunk: bounded in size and in time.

    Iterating may raise InvalidRequest: `body_too_large`, `body_timeout` (both close
    the connection behind the answer) or `body_incomplete`.

    Args:
        request: Nobody else may read its content.
        most_bytes: In all.
        within_s: How long the sender may keep us waiting, in all; the time that we
            take for what has come is not his.
        bytes_per_s: For so many bytes that came he may a second more.
    """

    def __init__(
        self,
        request: web.Request,
        *,
        most_bytes: int,
        within_s: float,
        bytes_per_s: float = math.inf,
    ) -> None:
        self._content, self._length = request.content, request.content_length
        self._most_bytes, self._within_s = most_bytes, within_s
        self._bytes_per_s = bytes_per_s
        self._waited_s = 0.0
        self.arrived = 0

    def allow(self, *, within_s: float) -> None:
        """Wait longer than was said at first."""
        self._within_s = within_s

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        if self._length is not None and self._length > self._most_bytes:
            raise too_large(self._most_bytes)
        chunk = await self._next()
        if not chunk:
            raise StopAsyncIteration
        self.arrived += len(chunk)
        if self.arrived > self._most_bytes:
            raise too_large(self._most_bytes)
        return chunk

    async def _next(self) -> bytes:
        try:
            if self._content.is_eof():
                # Nearly all bodies come in one piece with the headers: no timer needed.
                return self._content.read_nowait()
            return await self._waited()
        except TimeoutError:
            raise self._too_slow() from None
        except (web.RequestPayloadError, ConnectionError) as exc:
            raise InvalidRequest(
                "the body ended before its end", code="body_incomplete"
            ) from exc

    async def _waited(self) -> bytes:
        begun = time.monotonic()
        patience_s = self._within_s + self.arrived / self._bytes_per_s
        async with asyncio.timeout(patience_s - self._waited_s):
            chunk = await self._content.readany()
        self._waited_s += time.monotonic() - begun
        return chunk

    def _too_slow(self) -> InvalidRequest:
        sentence = f"the body did not arrive within {self._within_s:g} s"
        if self._bytes_per_s < math.inf:
            sentence = "the body arrives too slowly"
        return InvalidRequest(sentence, code="body_timeout")


def media_type(request: web.Request) -> str:
    """Return what the body is, in lower case and without parameters.

    Raises:
        InvalidRequest: `unsupported_encoding` or `unsupported_charset`.
    """
    if "Content-Encoding" in request.headers:
        raise InvalidRequest(
            "send the body without Content-Encoding", code="unsupported_encoding"
        )
    given = request.headers.get("Content-Type", "")
    if given in _PLAIN_TYPES:
        return JSON
    kind, *params = (part.strip().lower() for part in given.split(";"))
    for param in params if kind == JSON or kind in NDJSON else ():
        name, _, value = param.partition("=")
        if name.strip() == "charset" and value.strip(' "') not in _CHARSETS:
            raise InvalidRequest(
                "the charset must be utf-8", code="unsupported_charset"
            )
    return kind


async def read_json(
    request: web.Request, *, most_bytes: int, within_s: float
) -> dict[str, Any]:
    """Return the JSON object that the request carries.

    Raises:
        InvalidRequest: It carries none, or one that is too much of something; a body
            that was not read to its end closes the connection behind the answer.
    """
    if media_type(request) != JSON:
        raise InvalidRequest(
            f"Content-Type must be {JSON}", code="unsupported_media_type"
        )
    body = Body(request, most_bytes=most_bytes, within_s=within_s)
    return parse_object(b"".join([chunk async for chunk in body]))


def parse_object(data: bytes, *, what: str = "the body") -> dict[str, Any]:
    """Read one JSON object, strictly.

    Args:
        data: All of its text.
        what: What to call that in messages.

    Raises:
        InvalidRequest: `invalid_json`, `invalid_encoding`, `invalid_text`,
            `json_too_deep`, `duplicate_key` or `body_not_object`.
    """
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError:
        raise _why_not(data, what) from None
    if type(value) is not dict:
        raise InvalidRequest(f"{what} must be a JSON object", code="body_not_object")
    names = _count_names(value)
    # Each name has its own colon, and strings only add more: as many colons as
    # names left means that none was lost to a namesake.
    if data.count(b":") != names:
        _refuse_duplicates(data)
    return value


def too_large(most_bytes: int) -> InvalidRequest:
    """Return the error for a body that is longer than that."""
    return InvalidRequest(
        f"the body has more than {most_bytes:,} bytes", code="body_too_large"
    )


def _count_names(value: dict[str, Any]) -> int:
    """Count the names of all objects in `value`, which is one itself, down to 32."""
    names, level = 0, list[Any]([value])
    for _ in range(MOST_DEPTH):
        below: list[Any] = []
        for item in level:
            inner = item
            if type(item) is dict:
                names += len(item)
                inner = item.values()
            below += [v for v in inner if type(v) is dict or type(v) is list]
        if not below:
            return names
        level = below
    raise _too_deep()


def _too_deep() -> InvalidRequest:
    return InvalidRequest(
        f"the JSON is nested deeper than {MOST_DEPTH} levels", code="json_too_deep"
    )


def _refuse_duplicates(data: bytes) -> None:
    def pairs(found: list[tuple[str, Any]]) -> None:
        if len(dict(found)) < len(found):
            raise InvalidRequest("a name occurs twice", code="duplicate_key")

    json.loads(data, object_pairs_hook=pairs, parse_int=str, parse_float=str)


def _why_not(data: bytes, what: str) -> InvalidRequest:
    """Name what is wrong with a text that orjson refused."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return _not_utf8(what)
    if data.startswith(_MARKS):
        return _not_utf8(what)
    if b"\0" in data[:_HEAD]:
        return InvalidRequest(
            f"{what} begins with NUL bytes, as UTF-16 has them; it must be UTF-8",
            code="invalid_encoding",
        )
    try:
        json.loads(text, parse_int=_finite, parse_float=_finite, parse_constant=_finite)
    except RecursionError:
        return _too_deep()
    except ValueError:
        return InvalidRequest(f"{what} is not valid JSON", code="invalid_json")
    # The lenient parser takes what the strict one does not: halves of characters.
    return InvalidRequest("a string holds half a character", code="invalid_text")


def _not_utf8(what: str) -> InvalidRequest:
    return InvalidRequest(
        f"{what} must be UTF-8 without a byte order mark", code="invalid_encoding"
    )


def _finite(number: str) -> float:
    if math.isfinite(value := float(number)):
        return value
    raise ValueError(number)
