"""Lines out of pieces, none of which need end where a line does.

A line knows its number, counted as editors do, so that whoever finds fault with one
can say which: blank lines count, and are skipped.
"""

from collections.abc import AsyncIterable, AsyncIterator, Iterator
from typing import NamedTuple

from service.core.errors import LineTooLong

LONGEST_LINE = 8 * 2**20
"""Bytes; a request with its images as data URLs fits."""


class Line(NamedTuple):
    """One line that is not blank.

    Attributes:
        number: From 1 on.
        data: Without what ended it, which may be CR LF, LF or the end of all.
    """

    number: int
    data: bytes


async def lines_in(pieces: AsyncIterable[bytes]) -> AsyncIterator[Line]:
    """Yield the lines of a text that comes in pieces.

    Raises:
        LineTooLong: One has more than `LONGEST_LINE` bytes; those before it were
            yielded.
    """
    splitter = _Splitter()
    async for piece in pieces:
        for line in splitter.feed(piece):
            yield line
    for line in splitter.finish():
        yield line


_MARK = b"\xef\xbb\xbf"
"""What some editors write before the first line; it is no part of that."""


class _Splitter:
    def __init__(self) -> None:
        self._begun: list[bytes] = []
        self._begun_bytes = 0
        self._number = 1

    def feed(self, piece: bytes) -> Iterator[Line]:
        *whole, rest = piece.split(b"\n")
        for end in whole:
            self._extend(end)
            yield from self._take()
            self._number += 1
        self._extend(rest)

    def finish(self) -> Iterator[Line]:
        yield from self._take()

    def _extend(self, data: bytes) -> None:
        self._begun_bytes += len(data)
        if self._begun_bytes > LONGEST_LINE + 1:  # which may be half of a CR LF
            raise self._too_long()
        self._begun.append(data)

    def _take(self) -> Iterator[Line]:
        data = b"".join(self._begun).removesuffix(b"\r")
        if self._number == 1:
            data = data.removeprefix(_MARK)
        self._begun, self._begun_bytes = [], 0
        if len(data) > LONGEST_LINE:
            raise self._too_long()
        if data and not data.isspace():
            yield Line(self._number, data)

    def _too_long(self) -> LineTooLong:
        return LineTooLong(
            f"line {self._number} has more than {LONGEST_LINE:,} bytes",
            line=self._number,
        )
