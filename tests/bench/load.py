"""Keeps connections of an HTTP server busy.

load PORT SECONDS accept         submit one job after the other
load PORT SECONDS bulk LINES     submit batches of so many lines
load PORT SECONDS poll ID...     ask how these jobs stand, in turn

Every connection sends its next request as soon as the answer to the last one is
whole. The answers of a first second do not count. Prints JSON: answers per second,
percentiles of their time, and how busy this process was, which must stay well
below 1 for the figures to be the server's.
"""

import asyncio
import itertools
import statistics
import sys
import time
from collections.abc import Iterator
from typing import cast

import orjson
import uvloop

from tests.bench.contenders._door import KEY

_CONNECTIONS = 64
_OF_BATCHES = 16
"""As many as one account may send at a time."""
_WARM_UP_S = 1.0
_BODY = orjson.dumps({"model": "test/test", "prompt": "a red fox in the snow, " * 20})
_GOOD = (b"HTTP/1.1 200", b"HTTP/1.1 202")
_LENGTH = b"\r\nContent-Length: "


def _posts(path: str, kind: str, body: bytes) -> Iterator[bytes]:
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        f"Authorization: Bearer {KEY}\r\nContent-Type: {kind}\r\n"
        f"Content-Length: {len(body)}\r\nIdempotency-Key: bench-"
    ).encode()
    tail = b"\r\n\r\n" + body
    for number in itertools.count():
        yield b"%b%d%b" % (head, number, tail)


def _gets(paths: list[str]) -> Iterator[bytes]:
    tail = f" HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {KEY}\r\n\r\n"
    return itertools.cycle(f"GET {path}{tail}".encode() for path in paths)


def _requests(what: str, rest: list[str]) -> tuple[Iterator[bytes], int]:
    """Return what is sent, and over how many connections."""
    match what:
        case "accept":
            return _posts("/v1/jobs", "application/json", _BODY), _CONNECTIONS
        case "bulk":
            lines = (_BODY + b"\n") * int(rest[0])
            return _posts("/v1/batches", "application/x-ndjson", lines), _OF_BATCHES
        case "poll":
            return _gets([f"/v1/jobs/{job_id}" for job_id in rest]), _CONNECTIONS
    raise SystemExit(f"nobody knows how to {what}")


class Tally:
    """What all connections have seen."""

    def __init__(self) -> None:
        self.took_s: list[float] = []
        self.refused: bytes | None = None


class Caller(asyncio.Protocol):
    """One connection, kept alive."""

    def __init__(self, requests: Iterator[bytes], tally: Tally) -> None:
        self._requests, self._tally = requests, tally
        self._answer, self._sent_s = b"", 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._send()

    def data_received(self, data: bytes) -> None:
        self._answer += data
        end = self._answer.find(b"\r\n\r\n")
        if end < 0:
            return
        at = self._answer.index(_LENGTH) + len(_LENGTH)
        length = int(self._answer[at : self._answer.index(b"\r\n", at)])
        if len(self._answer) < end + 4 + length:
            return
        if not self._answer.startswith(_GOOD):
            self._tally.refused = self._answer
        self._tally.took_s.append(time.perf_counter() - self._sent_s)
        self._answer = b""
        self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        self._tally.refused = self._tally.refused or b"a connection was closed"

    def _send(self) -> None:
        self._sent_s = time.perf_counter()
        self._transport.write(next(self._requests))


async def load(
    port: int, seconds: float, requests: Iterator[bytes], connections: int
) -> dict[str, float]:
    """Return what one client process sees of the server."""
    loop, tally = asyncio.get_running_loop(), Tally()
    for _ in range(connections):
        await loop.create_connection(lambda: Caller(requests, tally), "127.0.0.1", port)
    await asyncio.sleep(_WARM_UP_S)
    tally.took_s.clear()
    begun, busy = time.perf_counter(), time.process_time()
    await asyncio.sleep(seconds)
    took, busy = time.perf_counter() - begun, time.process_time() - busy
    if tally.refused is not None:
        raise SystemExit(tally.refused.decode())
    percentiles = statistics.quantiles(tally.took_s, n=100)
    return {
        "answers/s": len(tally.took_s) / took,
        "p50 ms": percentiles[49] * 1000,
        "p99 ms": percentiles[98] * 1000,
        "client busy": busy / took,
    }


if __name__ == "__main__":
    port, seconds, what, *rest = sys.argv[1:]
    figures = uvloop.run(load(int(port), float(seconds), *_requests(what, rest)))
    print(orjson.dumps(figures).decode())
