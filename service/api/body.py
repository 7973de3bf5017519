"""The one way to read a request body: JSON, UTF-8, bounded in size, time and depth.

aiohttp alone would inflate, recode and wait for ever; nothing else in this package
touches `request.content`.
"""

import asyncio
import json
import math
from typing import Any

import orjson
from aiohttp import StreamReader, web

from service.core.errors import InvalidRequest

MOST_DEPTH = 32

_JSON = "application/json"
_PLAIN_TYPES = frozenset({_JSON, "application/json; charset=utf-8"})
_CHARSETS = frozenset({"utf-8", "utf8"})
_MARKS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")
_HEAD = 4


async def read_json(
    request: web.Request, *, most_bytes: int, within_s: float
) -> dict[str, Any]:
    """Return the JSON object that the request carries.

    Raises:
        InvalidRequest: It carries none, or one that is too much of something; a body
            that was not read to its end closes the connection behind the answer.
    """
    _check_headers(request)
    length = request.content_length
    if length is not None and length > most_bytes:
        raise _too_large(most_bytes)
    try:
        if request.content.is_eof():
            # It came in one piece with the headers, as nearly all do: no timer needed.
            data = request.content.read_nowait()
        else:
            async with asyncio.timeout(within_s):
                data = await _read(request.content, most_bytes)
    except TimeoutError:
        raise InvalidRequest(
            f"the body did not arrive within {within_s:g} s", code="body_timeout"
        ) from None
    except (web.RequestPayloadError, ConnectionError) as exc:
        raise InvalidRequest(
            "the body ended before its end", code="body_incomplete"
        ) from exc
    if len(data) > most_bytes:
        raise _too_large(most_bytes)
    return parse_object(data)


def parse_object(data: bytes) -> dict[str, Any]:
    """Read one JSON object, strictly.

    Raises:
        InvalidRequest: `invalid_json`, `invalid_encoding`, `invalid_text`,
            `json_too_deep`, `duplicate_key` or `body_not_object`.
    """
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError:
        raise _why_not(data) from None
    if type(value) is not dict:
        raise InvalidRequest("the body must be a JSON object", code="body_not_object")
    names = _count_names(value)
    # Each name has its own colon, and strings only add more: as many colons as
    # names left means that none was lost to a namesake.
    if data.count(b":") != names:
        _refuse_duplicates(data)
    return value


def _check_headers(request: web.Request) -> None:
    if "Content-Encoding" in request.headers:
        raise InvalidRequest(
            "send the body without Content-Encoding", code="unsupported_encoding"
        )
    given = request.headers.get("Content-Type", "")
    if given in _PLAIN_TYPES:
        return
    media_type, *params = (part.strip().lower() for part in given.split(";"))
    if media_type != _JSON:
        raise InvalidRequest(
            f"Content-Type must be {_JSON}", code="unsupported_media_type"
        )
    for param in params:
        name, _, value = param.partition("=")
        if name.strip() == "charset" and value.strip(' "') not in _CHARSETS:
            raise InvalidRequest(
                "the charset must be utf-8", code="unsupported_charset"
            )


async def _read(content: StreamReader, most_bytes: int) -> bytes:
    data = bytearray()
    while len(data) <= most_bytes:
        chunk = await content.readany()
        if not chunk:
            break
        data += chunk
    return bytes(data)


def _too_large(most_bytes: int) -> InvalidRequest:
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


def _why_not(data: bytes) -> InvalidRequest:
    """Name what is wrong with a body that orjson refused."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return _not_utf8()
    if data.startswith(_MARKS) or b"\0" in data[:_HEAD]:
        return _not_utf8()
    try:
        json.loads(text, parse_int=_finite, parse_float=_finite, parse_constant=_finite)
    except RecursionError:
        return _too_deep()
    except ValueError:
        return InvalidRequest("the body is not valid JSON", code="invalid_json")
    # The lenient parser takes what the strict one does not: halves of characters.
    return InvalidRequest("a string holds half a character", code="invalid_text")


def _not_utf8() -> InvalidRequest:
    return InvalidRequest(
        "the body must be UTF-8 without a byte order mark", code="invalid_encoding"
    )


def _finite(number: str) -> float:
    if math.isfinite(value := float(number)):
        return value
    raise ValueError(number)
