"""The lines of a batch in the image store: a thousand in a piece, written as they come.

batches/{batch id}/lines/{k}    NDJSON; each line has a `custom_id` (or null) and
                                either the `body` of its request, or the `error`
                                for which there will be none
"""

from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterable
from typing import Any, NamedTuple

import orjson

from service.batches.batch import Batch
from service.image_store import ImageStore

SEGMENT_LINES = 1000
SEGMENT_BYTES = 4 * 2**20

_MOST_KEPT_BYTES = 16 * 2**20
_NDJSON = "application/x-ndjson"


class StoredLine(NamedTuple):
    """A line as it was validated: `body` or `error` is None.

    Attributes:
        number: Counted as editors do: from 1, blank ones too.
        custom_id: What the caller calls it.
        body: The request.
        error: `code`, `message` and `param` of what is wrong with it.
    """

    number: int
    custom_id: str | None
    body: dict[str, Any] | None
    error: dict[str, Any] | None = None


_LOST = {
    "code": "line_lost",
    "message": "the line is not in the store any more",
    "param": None,
}
"""Said of the lines of a piece that somebody removed."""


class SegmentWriter:
    """Writes the lines of one batch, in order; `finish` behind the last.

    Attributes:
        total: How many there were.
        firsts: The first line of each piece.
    """

    def __init__(self, images: ImageStore, batch_id: str) -> None:
        self._images, self._folder = images, f"{folder_of(batch_id)}lines/"
        self._buffer, self._lines = bytearray(), 0
        self.total = 0
        self.firsts: list[int] = []

    async def add(self, line: StoredLine) -> None:
        """Take one line; waits for the store where a piece is full.

        Raises:
            StoreUnavailable: It was not written.
        """
        fields: dict[str, Any] = {"number": line.number, "custom_id": line.custom_id}
        if line.error is None:
            fields["body"] = line.body
        else:
            fields["error"] = line.error
        self._buffer += orjson.dumps(fields, option=orjson.OPT_APPEND_NEWLINE)
        self._lines += 1
        self.total += 1
        if self._lines == SEGMENT_LINES or len(self._buffer) >= SEGMENT_BYTES:
            await self._flush()

    async def finish(self) -> None:
        """Write what is left.

        Raises:
            StoreUnavailable: It was not written.
        """
        if self._lines:
            await self._flush()

    async def _flush(self) -> None:
        key = f"{self._folder}{len(self.firsts)}"
        await self._images.put(key, bytes(self._buffer), content_type=_NDJSON)
        self.firsts.append(self.total - self._lines)
        self._buffer, self._lines = bytearray(), 0


class Segments:
    """Reads lines back; what it has read it keeps for a while, some megabytes of it."""

    def __init__(self, images: ImageStore) -> None:
        self._images = images
        self._kept: OrderedDict[str, list[bytes]] = OrderedDict()
        self._kept_bytes = 0

    async def lines(
        self, batch: Batch, numbers: Iterable[int]
    ) -> dict[int, StoredLine]:
        """Return lines of a batch by number; one that was removed is in error.

        Raises:
            StoreUnavailable: The store did not answer.
        """
        found: dict[int, StoredLine] = {}
        for number in numbers:
            index = bisect_right(batch.segments, number) - 1
            texts = await self._read(f"{folder_of(batch.id)}lines/{index}")
            at = number - batch.segments[index]
            found[number] = _read_line(texts[at]) if at < len(texts) else _lost(number)
        return found

    async def _read(self, key: str) -> list[bytes]:
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        data = await self._images.get(key)
        texts = [] if data is None else data.splitlines()
        if data is not None and key not in self._kept:
            self._keep(key, texts)
        return texts

    def _keep(self, key: str, texts: list[bytes]) -> None:
        self._kept[key] = texts
        self._kept_bytes += _size(texts)
        while self._kept_bytes > _MOST_KEPT_BYTES:
            _, oldest = self._kept.popitem(last=False)
            self._kept_bytes -= _size(oldest)


def folder_of(batch_id: str) -> str:
    """Return what the keys of all that lies of a batch begin with."""
    return f"batches/{batch_id}/"


def _read_line(text: bytes) -> StoredLine:
    fields = orjson.loads(text)
    return StoredLine(
        fields["number"],
        fields["custom_id"],
        fields.get("body"),
        fields.get("error"),
    )


def _lost(number: int) -> StoredLine:
    return StoredLine(number + 1, None, None, _LOST)


def _size(texts: list[bytes]) -> int:
    return sum(map(len, texts))
