"""Lines, and server-sent events, out of bytes, however those were cut on the way."""

import re
from collections.abc import Iterator
from typing import NamedTuple

_LINE_END = re.compile(rb"\r\n|\n|\r")
_BOM = b"\xef\xbb\xbf"
_MS = 0.001


class SplitLines:
    """Cuts bytes into lines, without their ends."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def feed(self, chunk: bytes) -> list[bytes]:
        """Return the lines that end within `chunk`."""
        if not _LINE_END.search(chunk):
            self._parts.append(chunk)  # a long line comes in many chunks
            return []
        text = b"".join((*self._parts, chunk))
        # A carriage return may be half of a line's end.
        whole = text.removesuffix(b"\r")
        *lines, rest = _LINE_END.split(whole)
        self._parts = [rest + text[len(whole) :]]
        return lines


class Frame(NamedTuple):
    """One event: its type, its data, and the id after which a stream goes on."""

    event: str
    data: str
    id: str


class Frames:
    """Reads one stream by WHATWG's rules; comments are heartbeats.

    An event without data is none, but its `id` counts.

    Attributes:
        last_id: Of what has been told whole; empty: there was none.
        retry_s: How long the server wants to be left alone after the stream's end.
    """

    def __init__(self, last_id: str = "") -> None:
        self.last_id = self._id = last_id
        self.retry_s = 0.0
        self._lines, self._is_first = SplitLines(), True
        self._event, self._data = "", list[str]()

    def feed(self, chunk: bytes) -> Iterator[Frame]:
        """Yield the events that end within `chunk`."""
        for line in self._lines.feed(chunk):
            begun = line.removeprefix(_BOM) if self._is_first else line
            self._is_first = False
            if begun:
                self._take(begun.decode(errors="replace"))
                continue
            self.last_id = self._id
            event, data = self._event, "\n".join(self._data)
            self._event, self._data = "", []
            if data:
                yield Frame(event, data, self.last_id)

    def _take(self, line: str) -> None:
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        match name:
            case "event":
                self._event = value
            case "data":
                self._data.append(value)
            case "id" if "\0" not in value:
                self._id = value
            case "retry" if value.isascii() and value.isdigit():
                self.retry_s = int(value) * _MS
