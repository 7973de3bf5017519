"""Bodies that are read line by line, while they come."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from io import BytesIO
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from yarl import URL

from service.api.ndjson import lines_of
from service.core.errors import InvalidRequest
from service.files.lines import LONGEST_LINE
from service.settings import Limits

NDJSON = {"Content-Type": "application/x-ndjson"}


class Reader:
    """Reads bodies for whoever posts them.

    Attributes:
        lines: As they came.
        code: Of what was wrong with the body.
        came: Set with each line.
        ended: Set when nothing more is read.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self.lines: list[tuple[int, bytes]] = []
        self.code: str | None = None
        self.came, self.ended = asyncio.Event(), asyncio.Event()

    async def serve(self, request: web.Request) -> web.Response:
        try:
            async for line in lines_of(request, limits=self._limits):
                self.lines.append(tuple(line))
                self.came.set()
        except InvalidRequest as exc:
            self.code = exc.code
        self.ended.set()
        return web.json_response({"code": self.code})


@asynccontextmanager
async def reader(**limits: Any) -> AsyncIterator[tuple[Reader, str]]:
    read = Reader(Limits(**limits))
    app = web.Application()
    app.add_routes([web.post("/", read.serve)])
    runner = web.AppRunner(app, shutdown_timeout=0, auto_decompress=False)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0]
    yield read, f"http://{host}:{port}/"
    await runner.cleanup()


async def sent(url: str, data: Any, **headers: str) -> str | None:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    async with (
        aiohttp.ClientSession() as http,
        http.post(url, data=data, headers=NDJSON | named) as response,
    ):
        return (await response.json())["code"]


async def test_lines_are_there_before_the_body_is():
    async with reader() as (read, url):
        second = asyncio.Event()

        async def body() -> AsyncIterator[bytes]:
            yield b'{"a": 1}\n{"b"'
            await read.came.wait()
            second.set()
            yield b": 2}\r\n\r\n  \n"
            yield b'{"c": 3}'

        code = await sent(url, body())

    assert (code, second.is_set()) == (None, True)
    assert read.lines == [(1, b'{"a": 1}'), (2, b'{"b": 2}'), (5, b'{"c": 3}')]


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"Content_Type": "application/jsonl"}, None),
        ({"Content_Type": "application/x-ndjson; charset=UTF-8"}, None),
        ({"Content_Type": "application/x-ndjson; charset=latin-1"}, "charset"),
        ({"Content_Type": "application/json"}, "media_type"),
        ({"Content_Encoding": "gzip"}, "encoding"),
    ],
)
async def test_body_says_what_it_is(headers: dict[str, str], code: str | None):
    async with reader() as (_, url):
        answer = await sent(url, b"{}", **headers)

    assert answer == (code and f"unsupported_{code}")


@pytest.mark.parametrize(
    ("limits", "data", "code", "lines"),
    [
        ({"batch_lines": 2}, b"1\n2\n\n", None, 2),
        ({"batch_lines": 2}, b"1\n2\n3", "too_many_lines", 2),
        ({"batch_bytes": 1024}, b"1\n" * 512, None, 512),
        ({"batch_bytes": 1024}, b"1\n" * 512 + b"\n", "body_too_large", 0),
        ({}, b"1\n" + b"x" * (LONGEST_LINE + 1), "line_too_long", 1),
        ({}, b"", None, 0),
    ],
)
async def test_body_has_limits(limits, data: bytes, code: str | None, lines: int):
    async with reader(**limits) as (read, url):
        answer = await sent(url, BytesIO(data))

    assert (answer, len(read.lines)) == (code, lines)


async def test_body_that_announces_no_length_has_the_same_limit():
    async def body() -> AsyncIterator[bytes]:
        for _ in range(1025):
            yield b"\n"

    async with reader(batch_bytes=1024) as (_, url):
        assert await sent(url, body()) == "body_too_large"


async def test_body_that_is_cut_ends_in_an_error_behind_its_lines():
    async with reader() as (read, url):
        _, writer = await asyncio.open_connection("127.0.0.1", URL(url).port)
        head = "POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/jsonl\r\n"
        writer.write(f"{head}Content-Length: 100\r\n\r\n1\n2\n3".encode())
        await read.came.wait()

        writer.close()
        await read.ended.wait()

    assert (read.code, read.lines) == ("body_incomplete", [(1, b"1"), (2, b"2")])


async def test_who_sends_slowly_but_steadily_is_waited_for():
    async def body(pauses: int) -> AsyncIterator[bytes]:
        for _ in range(pauses):
            yield b"x" * 1000 + b"\n"
            await asyncio.sleep(0.05)

    async with reader(body_s=0.2, upload_bytes_per_s=10_000) as (_, url):
        steady = await sent(url, body(12))
    async with reader(body_s=0.2, upload_bytes_per_s=100_000) as (_, url):
        slow = await sent(url, body(12))

    assert (steady, slow) == (None, "body_timeout")
