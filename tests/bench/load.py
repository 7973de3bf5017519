"""Keeps connections of an HTTP server busy.

load PORT SECONDS accept         submit one job after the other
load PORT SECONDS bulk LINES     submit batches of so many lines
load PORT SECONDS poll ID...     ask how these jobs stand, in turn
load PORT SECONDS images BODY    have an image made, and wait for it
load PORT SECONDS look PATH      open a link, as a page does, without a key

    --callers N     over so many connections, if not as many as is usual
    --watch PID...  tell what these processes and those below them cost an answer

Every connection sends its next request as soon as the answer to the last one is
whole. The answers of the first second, or of the third part of a short run, do not
count. Prints JSON: answers per second,
percentiles of their time, and how busy this process was, which must stay well
below 1 for the figures to be the server's.
"""

import argparse
import asyncio
import itertools
import statistics
import time
from collections.abc import Iterator, Sequence
from typing import cast

import orjson
import uvloop

from tests.bench.contenders._door import KEY
from tests.bench.cost import cpu_s

_CONNECTIONS = 64
_OF_BATCHES = 16
"""As many as one account may send at a time; fewer where each has many lines."""
_WARM_UP_S = 1.0
_FEWEST = 2
_BODY = orjson.dumps({"model": "test/test", "prompt": "a red fox in the snow, " * 20})
_GOOD = (b"HTTP/1.1 200", b"HTTP/1.1 202")
_LENGTH = b"\r\ncontent-length: "


def _posts(path: str, kind: str, body: bytes) -> Iterator[bytes]:
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        f"Authorization: Bearer {KEY}\r\nContent-Type: {kind}\r\n"
        f"Content-Length: {len(body)}\r\nIdempotency-Key: {time.time_ns()}-"
    ).encode()
    tail = b"\r\n\r\n" + body
    for number in itertools.count():
        yield b"%b%d%b" % (head, number, tail)


def _gets(paths: list[str], *, key: str = KEY) -> Iterator[bytes]:
    proof = f"Authorization: Bearer {key}\r\n" if key else ""
    tail = f" HTTP/1.1\r\nHost: 127.0.0.1\r\n{proof}\r\n"
    return itertools.cycle(f"GET {path}{tail}".encode() for path in paths)


def _requests(what: str, rest: list[str]) -> tuple[Iterator[bytes], int]:
    """Return what is sent, and over how many connections."""
    match what:
        case "accept":
            return _posts("/v1/jobs", "application/json", _BODY), _CONNECTIONS
        case "bulk":
            lines = int(rest[0])
            body, connections = (_BODY + b"\n") * lines, _OF_BATCHES * 100 // lines
            batches = _posts("/v1/batches", "application/x-ndjson", body)
            return batches, max(2, min(_OF_BATCHES, connections))
        case "poll":
            return _gets([f"/v1/jobs/{job_id}" for job_id in rest]), _CONNECTIONS
        case "images":
            path, body = "/v1/images/generations", rest[0].encode()
            return _posts(path, "application/json", body), _CONNECTIONS
        case "look":
            return _gets(rest, key=""), _CONNECTIONS
    raise SystemExit(f"nobody knows how to {what}")


class Tally:
    """What all connections have seen."""

    def __init__(self) -> None:
        self.took_s: list[float] = []
        self.refused: bytes | None = None


class Caller(asyncio.Protocol):
    """One connection, kept alive; of an answer's body no more than the size is kept."""

    def __init__(self, requests: Iterator[bytes], tally: Tally) -> None:
        self._requests, self._tally = requests, tally
        self._head, self._missing, self._sent_s = b"", 0, 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._send()

    def data_received(self, data: bytes) -> None:
        if self._missing:
            self._missing -= len(data)
        elif not self._is_begun(data):
            return
        if self._missing == 0:
            self._tally.took_s.append(time.perf_counter() - self._sent_s)
            self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        self._tally.refused = self._tally.refused or b"a connection was closed"

    def _is_begun(self, data: bytes) -> bool:
        """Read the head, and know what is to come; or know that it is not whole."""
        self._head += data
        end = self._head.find(b"\r\n\r\n")
        if end < 0:
            return False
        head = self._head[: end + 2].lower()
        at = head.index(_LENGTH) + len(_LENGTH)
        length = int(head[at : head.index(b"\r\n", at)])
        self._missing = end + 4 + length - len(self._head)
        if not self._head.startswith(_GOOD):
            self._tally.refused = self._head
        return True

    def _send(self) -> None:
        self._head, self._sent_s = b"", time.perf_counter()
        self._transport.write(next(self._requests))


async def load(
    port: int,
    seconds: float,
    requests: Iterator[bytes],
    connections: int,
    watched: Sequence[int] = (),
) -> dict[str, float]:
    """Return what one client process sees of the server."""
    loop, tally = asyncio.get_running_loop(), Tally()
    for _ in range(connections):
        await loop.create_connection(lambda: Caller(requests, tally), "127.0.0.1", port)
    await asyncio.sleep(min(_WARM_UP_S, seconds / 2))
    tally.took_s.clear()
    cost_s = cpu_s(watched) if watched else 0
    begun, busy = time.perf_counter(), time.process_time()
    await asyncio.sleep(seconds)
    took, busy = time.perf_counter() - begun, time.process_time() - busy
    if tally.refused is not None:
        raise SystemExit(tally.refused.decode())
    answers, figures = len(tally.took_s), dict[str, float]()
    if answers < _FEWEST:
        raise SystemExit(f"{answers} answers in {seconds} s say nothing")
    if watched:
        figures["CPU ms"] = (cpu_s(watched) - cost_s) / answers * 1000
    percentiles = statistics.quantiles(tally.took_s, n=100)
    return {
        "answers/s": answers / took,
        "p50 ms": percentiles[49] * 1000,
        "p99 ms": percentiles[98] * 1000,
        **figures,
        "client busy": busy / took,
    }


def main() -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("port", type=int)
    parser.add_argument("seconds", type=float)
    parser.add_argument("what")
    parser.add_argument("rest", nargs="*")
    parser.add_argument("--callers", type=int)
    parser.add_argument("--watch", type=int, nargs="+", default=[])
    asked = parser.parse_args()
    requests, usual = _requests(asked.what, asked.rest)
    callers = asked.callers or usual
    figures = uvloop.run(
        load(asked.port, asked.seconds, requests, callers, asked.watch)
    )
    print(orjson.dumps(figures).decode())


if __name__ == "__main__":
    main()
