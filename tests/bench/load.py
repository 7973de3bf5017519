"""Keeps connections of an HTTP server busy: `python -m tests.bench.load PORT SECONDS`.

Every connection sends its next request as soon as the answer to the last one is
whole. The answers of a first second do not count. Prints JSON: answers per second,
percentiles of their time, and how busy this process was, which must stay well
below 1 for the figures to be the server's.
"""

import asyncio
import statistics
import sys
import time
from typing import cast

import orjson
import uvloop

from tests.bench.contenders._door import KEY

_CONNECTIONS = 64
_WARM_UP_S = 1.0
_BODY = orjson.dumps({"model": "test/test", "prompt": "a red fox in the snow, " * 20})
_HEAD = (
    "POST /v1/jobs HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    f"Authorization: Bearer {KEY}\r\nContent-Type: application/json\r\n"
    f"Content-Length: {len(_BODY)}\r\nIdempotency-Key: bench-"
).encode()
_TAIL = b"\r\n\r\n" + _BODY
_GOOD = (b"HTTP/1.1 200", b"HTTP/1.1 202")
_LENGTH = b"\r\nContent-Length: "


class Tally:
    """What all connections have seen."""

    def __init__(self) -> None:
        self.sent = 0
        self.took_s: list[float] = []
        self.refused: bytes | None = None


class Caller(asyncio.Protocol):
    """One connection, kept alive."""

    def __init__(self, tally: Tally) -> None:
        self._tally, self._answer, self._sent_s = tally, b"", 0.0

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
        self._tally.sent += 1
        self._sent_s = time.perf_counter()
        self._transport.write(b"%b%d%b" % (_HEAD, self._tally.sent, _TAIL))


async def load(port: int, seconds: float) -> dict[str, float]:
    """Return what one client process sees of the server."""
    loop, tally = asyncio.get_running_loop(), Tally()
    for _ in range(_CONNECTIONS):
        await loop.create_connection(lambda: Caller(tally), "127.0.0.1", port)
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
    figures = uvloop.run(load(int(sys.argv[1]), float(sys.argv[2])))
    print(orjson.dumps(figures).decode())
