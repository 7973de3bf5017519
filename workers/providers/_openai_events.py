"""A streamed answer of OpenAI's images API: unfinished images, then the finished one.

An imitator may take the wish for a stream and answer with plain JSON; that will do.

Source: OpenAI API reference, "Image streaming" (read 2026-11).
"""

import re
from typing import Any

import orjson
import pybase64

from service.core.provider import Call

_BLANK_LINE = re.compile(rb"\r?\n\r?\n")
_LONGEST_BLANK = 4


class Events:
    """Shows unfinished images while the body is taken, chunk by chunk."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._buffer = bytearray()
        self._searched = 0
        self._end: dict[str, Any] | None = None

    @property
    def body(self) -> dict[str, Any] | None:
        """What the answer would have been without a stream; None: nobody can tell."""
        return self._end or _object(bytes(self._buffer))

    async def take(self, chunk: bytes) -> None:
        """Take more of the body."""
        self._buffer += chunk
        while found := _BLANK_LINE.search(self._buffer, self._searched):
            frame = bytes(self._buffer[: found.start()])
            del self._buffer[: found.end()]
            self._searched = 0
            await self._read(_data(frame))
        self._searched = max(0, len(self._buffer) - _LONGEST_BLANK)

    async def _read(self, event: dict[str, Any] | None) -> None:
        if event is None:
            return
        kind = str(event.get("type"))
        if kind.endswith(".partial_image"):
            await self._show(event)
        elif kind.endswith(".completed"):
            self._end = {"data": [event], "usage": event.get("usage")}
        elif kind == "error" or "error" in event:
            self._end = {"error": event.get("error") or event}

    async def _show(self, event: dict[str, Any]) -> None:
        index, inline = event.get("partial_image_index"), event.get("b64_json")
        if type(index) is not int or not isinstance(inline, str):
            return
        try:
            data = pybase64.b64decode(inline, validate=True)
        except ValueError:
            return
        await self._call.partial(data, index)


def _data(frame: bytes) -> dict[str, Any] | None:
    lines = [line for line in frame.splitlines() if line.startswith(b"data:")]
    return _object(b"\n".join(line.removeprefix(b"data:") for line in lines))


def _object(text: bytes) -> dict[str, Any] | None:
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    return value if isinstance(value, dict) else None
