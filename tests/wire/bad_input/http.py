"""Rows 125 to 135, and 138: hardly HTTP any more, and headers out of the ordinary."""

import asyncio
from typing import Any

import orjson

from tests.wire.bad_input.cases import (
    GOOD,
    JOBS,
    JSON,
    Case,
    Rows,
    get,
    post,
    posted,
    request,
)
from tests.wire.bad_input.house import PATIENCE_S, SHORT_S, House
from tests.wire.bad_input.said import rest

HEALTH = "GET /healthz HTTP/1.1\r\nHost: x\r\n"
UNENDED = (
    "GET /healthz HTTP/1.1\nHost: x\n\n\r\n\r\n",
    "GET /healthz HTTP/1.1\r\nHost : x\r\n\r\n",
    "GET /healthz HTTP/1.1\r\n\r\n",
    f"{HEALTH}Host: y\r\n\r\n",
    f"{HEALTH}A: b\r\n c\r\n\r\n",
    f"{HEALTH}A: b\x00c\r\n\r\n",
    "GET /healthz HTTP/9.9\r\nHost: x\r\n\r\n",
    "GET /healthz HTTP/2.0\r\nHost: x\r\n\r\n",
    "GET /healthz HTTP/0.9\r\nHost: x\r\n\r\n",
    "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
)
GONE = (
    "//evil.example/v1",
    "/..;/admin",
    "http://evil.example/healthz",
    "/v1/../etc",
    "/",
)
CHUNKS = b"2\r\n{}\r\n0\r\n\r\n"
EVIL = ("evil.example", "gopher")


def told(*lines: str, sent: bytes, **case: Any) -> Case:
    """Return a submission with these headers about its body."""
    return Case(request=request("POST", JOBS, JSON, *lines) + sent, **case)


def plain(*texts: str, answer: str | None = None) -> list[Case]:
    return [Case(request=text.encode("latin-1"), answer=answer) for text in texts]


async def _closed(house: House, *sent: bytes) -> None:
    """Send now and then a piece; the other side must have closed soon."""
    port = house.doors["hasty"].port
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    async with asyncio.timeout(PATIENCE_S):
        closing = asyncio.create_task(rest(reader))
        for piece in sent:
            writer.write(piece)
            await asyncio.wait([closing], timeout=SHORT_S / 5)
            if closing.done():
                break
        await closing
    writer.close()


async def silent_socket(house: House) -> None:
    await _closed(house)


async def header_by_drips(house: House) -> None:
    """It never ends, so the door must not wait for its end."""
    drips = (bytes([byte]) for byte in HEALTH.encode() * 3)

    await _closed(house, *drips)


async def header_by_drips_after_an_answer(house: House) -> None:
    """The patience for a next request is no longer than for the first."""
    drips = (bytes([byte]) for byte in HEALTH.encode() * 3)

    await _closed(house, f"{HEALTH}\r\n".encode(), *drips)


def forged(sent: bytes) -> Case:
    return Case(request=sent, shows=("'Location': '{url}",), hides=EVIL)


ROWS: Rows = {
    125: [
        told("Content-Length: 5", "Transfer-Encoding: chunked", sent=b"0\r\n\r\n"),
        told("Content-Length: 5", "Content-Length: 6", sent=b"hello"),
        told("Transfer-Encoding: chunked, identity", sent=b"0\r\n\r\n"),
        told("Transfer-Encoding: \x0bchunked", sent=b"0\r\n\r\n"),
        told("Content-Length: +2", sent=b"{}"),
        told("Content-Length: -1", sent=b"{}"),
        told("Content-Length: 0x2", sent=b"{}"),
    ],
    126: plain(*UNENDED),
    127: plain(f"{HEALTH}A: {'b' * 9000}\r\n\r\n", HEALTH + "A: b\r\n" * 200 + "\r\n"),
    128: [
        told(
            "Transfer-Encoding: chunked",
            sent=size + b"\r\n{",
            answer=answer,
            door="hasty",
        )
        for size, answer in (
            (b"F" * 15, "408 body_timeout closes"),
            (b"F" * 16, "408 body_timeout closes"),
            (b"F" * 17, "400 malformed_request closes"),
        )
    ],
    129: [silent_socket, header_by_drips, header_by_drips_after_an_answer],
    130: [
        told(
            "Content-Length: 20",
            "Expect: 100-continue",
            sent=b"",
            answer="408 body_timeout closes",
            door="hasty",
        ),
        told(
            "Content-Length: 2",
            "Expect: foo",
            sent=b"{}",
            answer="417 expectation_failed",
        ),
    ],
    131: [
        Case(
            request=posted(GOOD, "Connection: Upgrade", f"Upgrade: {name}"),
            hides=("101 Switching", "'Upgrade'"),
        )
        for name in ("h2c", "websocket")
    ],
    132: [
        *(Case(request=get(target), hides=("Location",)) for target in GONE),
        Case(request=request("OPTIONS", "*")),
        Case(request=post("http://evil.example/v1/jobs", orjson.dumps(GOOD))),
    ],
    133: [
        forged(posted(GOOD).replace(b"Host: x", b"Host: evil.example")),
        forged(
            posted(
                GOOD,
                "X-Forwarded-Host: evil.example",
                "X-Forwarded-Proto: gopher",
                "X-Forwarded-For: 10.0.0.1",
                "Forwarded: for=10.0.0.1;host=evil.example;proto=gopher",
            )
        ),
    ],
    134: [
        *(
            Case(
                request=get(JOBS, f"X-Request-ID: {name}"),
                answer="200",
                hides=(name,),
            )
            for name in ("a b", '{"a":1}', "x" * 129, "x" * 8000, "ä")
        ),
        Case(
            request=get(JOBS, f"X-Request-ID: {'x' * 100}"),
            answer="200",
            shows=("x" * 100,),
        ),
        Case(
            request=get(JOBS, "X-Request-ID: \x1b[31m"),
            answer="400 malformed_request closes",
        ),
    ],
    135: [
        *(
            Case(request=get(JOBS, line), answer="200")
            for line in (
                "User-Agent: 🦊",
                "User-Agent: \\x1b[31m%00%0d%0a",
                "Accept-Language: " + "x" * 8000,
            )
        ),
        Case(
            request=get(JOBS, "User-Agent: \x1b[31m"),
            answer="400 malformed_request closes",
        ),
    ],
    138: [
        told("Transfer-Encoding: gzip, chunked", sent=CHUNKS, shows=("as chunked",)),
        told("Transfer-Encoding: chunked, chunked", sent=CHUNKS),
        told("Transfer-Encoding: gzip", "Transfer-Encoding: chunked", sent=CHUNKS),
    ],
}
