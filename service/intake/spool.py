"""Bytes that came with one request: in memory while they are few, then in a file.

The file has no name in any folder, so that nothing is left of it once it is closed,
however this process ends.
"""

import asyncio
import hashlib
import os
import tempfile
from dataclasses import dataclass, field
from typing import Any, BinaryIO, cast

from service.core.errors import Unavailable

_IN_MEMORY = 1 << 20


class Spool:
    """Takes bytes at its end, and gives back any stretch of them until it is closed.

    One writer at a time, and no reader beside it; many readers behind it.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._file: BinaryIO | None = None
        self._flushed = 0
        self._closed = False

    @property
    def size(self) -> int:
        """How many bytes it holds."""
        return self._flushed + len(self._buffer)

    async def add(self, data: bytes) -> None:
        """Append `data`; waits for a disk only past the first megabyte.

        Raises:
            Unavailable: The disk takes no more.
        """
        self._buffer += data
        if len(self._buffer) >= _IN_MEMORY:
            await asyncio.to_thread(self._flush)

    async def read(self, start: int, size: int) -> bytes:
        """Return `size` bytes from `start` on.

        Raises:
            Unavailable: The disk does not give them back.
        """
        if start >= self._flushed:
            start -= self._flushed
            return bytes(self._buffer[start : start + size])
        return await asyncio.to_thread(self._from_file, start, size)

    def close(self) -> None:
        """Forget everything, be it on its way to the disk; again is fine."""
        self._closed = True
        self._buffer = bytearray()  # the old one may be in a thread's hands
        if self._file is not None:
            self._file.close()

    def _flush(self) -> None:
        flushed = self._buffer
        try:
            if self._file is None:
                self._file = cast("BinaryIO", tempfile.TemporaryFile())  # noqa: SIM115 - closed by `close`
            self._file.write(flushed)
            self._file.flush()
        except OSError as exc:
            raise Unavailable("there is no room for what was sent") from exc
        self._flushed += len(flushed)
        self._buffer = bytearray()
        if self._closed:  # by somebody who did not wait for this thread
            self._file.close()

    def _from_file(self, start: int, size: int) -> bytes:
        # Several may read at once: nothing is moved here.
        on_disk = min(start + size, self._flushed) - start
        try:
            data = os.pread(cast("BinaryIO", self._file).fileno(), on_disk, start)
        except (OSError, ValueError) as exc:
            raise Unavailable("what was sent cannot be read back") from exc
        if len(data) < on_disk:
            raise Unavailable("what was sent cannot be read back")
        return data + self._buffer[: size - on_disk]


@dataclass(frozen=True, slots=True)
class Held:
    """A stretch of a spool: one file that came with a request.

    Attributes:
        spool: Where it lies, until that is closed.
        start: Of its first byte.
        size: In bytes.
        sha256: Hex digest of them.
    """

    spool: Spool = field(repr=False)
    start: int
    size: int
    sha256: str

    async def read(self) -> bytes:
        """Return its bytes; see `Spool.read`."""
        return await self.spool.read(self.start, self.size)


class Holding:
    """One file on its way into a spool, which nobody else writes to meanwhile."""

    def __init__(self, spool: Spool) -> None:
        self._spool, self._start = spool, spool.size
        self._digest: Any = hashlib.sha256()

    @property
    def size(self) -> int:
        """How much of it has come."""
        return self._spool.size - self._start

    async def add(self, data: bytes) -> None:
        """See `Spool.add`."""
        self._digest.update(data)
        await self._spool.add(data)

    def held(self) -> Held:
        """Return the file, which is whole."""
        return Held(self._spool, self._start, self.size, self._digest.hexdigest())
