"""Answers read from a socket, and what becomes of the connection behind them."""

import asyncio
import contextlib
import re
from typing import NamedTuple

import orjson
from multidict import CIMultiDict

_HEAD = re.compile(rb"HTTP/(\d\.\d) (\d{3}) [^\r]*\r\n")


class Said(NamedTuple):
    """An answer, and what became of the connection."""

    status: int
    headers: CIMultiDict[str]
    raw: bytes
    closes: bool

    @property
    def code(self) -> str | None:
        if self.status < 400 or not self.raw:
            return None
        return orjson.loads(self.raw)["error"]["code"]

    @property
    def summary(self) -> str:
        """The answer as the catalogue words it."""
        words = [str(self.status), self.code, "closes" if self.closes else None]
        return " ".join(word for word in words if word)


async def read(reader: asyncio.StreamReader, *, is_head: bool = False) -> Said:
    head = await reader.readuntil(b"\r\n\r\n")
    if head.startswith(b"HTTP/1.1 100 "):
        head = await reader.readuntil(b"\r\n\r\n")
    found = _HEAD.match(head)
    assert found is not None, head
    lines = head[found.end() :].decode("latin-1").split("\r\n")[:-2]
    headers = CIMultiDict(line.split(": ", 1) for line in lines)
    status = int(found[2])
    closes = found[1] != b"1.1" or headers.get("Connection") == "close"
    has_body = not is_head and status not in {204, 304}
    length = int(headers.get("Content-Length", "0")) if has_body else 0
    return Said(status, headers, await reader.readexactly(length), closes)


async def rest(reader: asyncio.StreamReader) -> bytes:
    """Read to the end; whoever was cut off while sending had no more to hear."""
    with contextlib.suppress(ConnectionError):
        return await reader.read()
    return b""
