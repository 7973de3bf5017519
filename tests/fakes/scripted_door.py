"""A server that gives the answers it was told to, byte for byte, and hangs up.

Each connection gets one request and the next answer; an answer may end anywhere.
"""

import asyncio
import contextlib
import json
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any, NamedTuple, Self

LOST = b""
"""The request is read, and no answer comes."""


class Call(NamedTuple):
    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class ScriptedDoor:
    """Serves on a port of 127.0.0.1 while the context is open.

    Attributes:
        calls: What it was asked, in order.
    """

    def __init__(self, *answers: bytes) -> None:
        self._answers = iter(answers)
        self.calls: list[Call] = []

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        host, port = self._server.sockets[0].getsockname()
        self.url = f"http://{host}:{port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await self._server.wait_closed()

    async def _serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            self.calls.append(await _read(reader))
            writer.write(next(self._answers))
            await writer.drain()
        writer.close()


def answer(body: Any, status: int = 200, **headers: str) -> bytes:
    """A whole answer; underscores in names of headers stand for dashes."""
    raw = json.dumps(body).encode()
    return _head(status, {"Content-Length": str(len(raw)), **headers}) + raw


def refusal(status: int, code: str, **headers: str) -> bytes:
    """An answer that is an error of Darkroom's."""
    error = {"message": "no", "type": "error", "param": None, "code": code}
    return answer({"error": error}, status, **headers)


def stream(*chunks: str, broken: bool = False) -> bytes:
    """An answer in chunks; a broken one lacks the last, which says that it was."""
    sent = b"".join(_chunk(chunk.encode()) for chunk in chunks)
    return _head(200, {"Transfer-Encoding": "chunked"}) + sent + _end(broken=broken)


def events(*frames: tuple[str, str, dict[str, Any]]) -> Iterable[str]:
    """Server-sent events: id, type and data of each."""
    for number, kind, data in frames:
        yield f"event: {kind}\nid: {number}\ndata: {json.dumps(data)}\n\n"


def _head(status: int, headers: dict[str, str]) -> bytes:
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", "Connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode()


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def _end(*, broken: bool) -> bytes:
    return b"" if broken else b"0\r\n\r\n"


async def _read(reader: asyncio.StreamReader) -> Call:
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    first, *lines = head.rstrip().split("\r\n")
    method, path, _ = first.split(" ")
    headers = {k.lower(): v for k, v in (line.split(": ", 1) for line in lines)}
    if headers.get("transfer-encoding") == "chunked":
        body = await _chunks(reader)
    else:
        body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Call(method, path, headers, body)


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    body = b""
    while size := int(await reader.readline(), 16):
        body += await reader.readexactly(size)
        await reader.readline()
    await reader.readline()
    return body
