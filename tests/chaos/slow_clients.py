"""Hundreds who send a byte a second, or take nothing of what they asked for.

Some drip their headers, some their body, some do not read. Whoever is cut off comes
again at once. Others must not feel it, and nothing of it may stay open afterwards. How
long anything takes on this machine just now, a server beside that nobody is slow with
says.
"""

import asyncio
import contextlib
import math
import socket
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import aiohttp
from yarl import URL

from tests.chaos import gauges
from tests.chaos.report import Report
from tests.chaos.stage import MODEL, SECRET, Cast, Stage, on_stage

HEADERS_S, BODY_S, WRITE_S = 15, 5, 5
"""After so long the front door cuts off whoever is too slow; the first is its own."""
_LATE_S = 10
_SETTINGS = {
    "DARKROOM_LIMITS__BODY_S": str(BODY_S),
    "DARKROOM_LIMITS__WRITE_S": str(WRITE_S),
}
_ARRIVING_S = 4.0
_DRIP_S = 1.0
_FDS_AWAY = 5
_PAUSE_S = 0.005
_LOOK_S = 1.0
_BACK_WITHIN_S = 60
_SETTLED_MS = 10
"""Less than so much is no time at all, twice as long or not."""
_KEY = f"Host: x\r\nAuthorization: Bearer {SECRET}\r\n"
_OPENINGS = {
    "headers": b"POST /v1/jobs HTTP/1.1\r\nHost: x\r\nX-Slow: ",
    "body": f"POST /v1/jobs HTTP/1.1\r\n{_KEY}Content-Type: application/json\r\n"
    "Content-Length: 100000\r\n\r\n{".encode(),
    "reading": f"GET /openapi.json HTTP/1.1\r\n{_KEY}\r\n".encode() * 60,
}
_WITHIN_S = {"headers": HEADERS_S, "body": BODY_S, "reading": WRITE_S}


@dataclass
class _Crowd:
    """Those who are slow in one way.

    Attributes:
        kept_s: How long each connection lasted until it was cut off.
    """

    manner: str
    url: URL
    kept_s: list[float] = field(default_factory=list)
    goes_on: bool = True

    async def be_slow(self, *, after_s: float) -> None:
        """Come, be slow until cut off, and come again while the crowd goes on."""
        await asyncio.sleep(after_s)
        while self.goes_on:
            begun = time.monotonic()
            with contextlib.suppress(OSError):
                await self._once()
            self.kept_s.append(time.monotonic() - begun)

    async def _once(self) -> None:
        assert self.url.host is not None
        assert self.url.port is not None
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.setblocking(False)
        loop = asyncio.get_running_loop()
        try:
            await loop.sock_connect(sock, (self.url.host, self.url.port))
            await loop.sock_sendall(sock, _OPENINGS[self.manner])
            if self.manner != "reading":
                await _drip(sock, loop)
            else:
                await _wait_for_reset(sock)
        finally:
            sock.close()


async def _drip(sock: socket.socket, loop: asyncio.AbstractEventLoop) -> None:
    """Send a byte a second; return when the other end has closed."""
    while True:
        await asyncio.sleep(_DRIP_S)
        await loop.sock_sendall(sock, b"x")
        with contextlib.suppress(BlockingIOError):
            while sock.recv(4096):
                pass
            return


async def _wait_for_reset(sock: socket.socket) -> None:
    """Take nothing; return when the other end has reset the connection."""
    while not sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
        await asyncio.sleep(_DRIP_S / 4)


async def run(*, each: int, seconds: float, most: float, cast: Cast) -> Report:
    """Time a good client alone, beside so many of each kind, and alone again.

    Args:
        each: How many are slow in each of the three ways, all at once.
        seconds: How long each time.
        most: So many times as long it may take at the 99th percentile.
        cast: Who plays.
    """
    report = Report("slow clients")
    async with (
        on_stage(cast, settings=_SETTINGS, through=gauges.RUNS) as stage,
        aiohttp.ClientSession(stage.base_url) as http,
    ):
        job_id = await stage.client.submit("a fox", name="a fox", model=MODEL)
        await stage.client.final(job_id)
        good = _Good(http, f"/v1/jobs/{job_id}", f"{stage.origin('upstream')}/control")
        await good.times(seconds=1)
        before = await gauges.read(stage)
        alone, bare = await good.times(seconds=seconds)
        async with _beside(stage, each) as crowds:
            beside, bare_beside = await good.times(seconds=seconds)
            during = await gauges.read(stage)
        more, _ = await good.times(seconds=seconds)
        alone += more
        back_s, left = await _until_back(stage, before["door_fds"])
        after = await gauges.read(stage)
    report.note(connections_each=each, requests=len(alone) + len(beside))
    for crowd in crowds:
        _judge(report, crowd)
    report.note(fds_before=before["door_fds"], fds_during=during["door_fds"])
    report.note(fds_back_after_s=back_s)
    report.note(door_grew_mb=after["door_rss_mb"] - before["door_rss_mb"])
    report.note(p99_alone_ms=_p99(alone), p99_beside_ms=_p99(beside))
    report.note(bare_p99_alone_ms=_p99(bare), bare_p99_beside_ms=_p99(bare_beside))
    limit_ms = max(_SETTLED_MS, most * _p99(alone), most * _p99(bare_beside))
    report.expect(
        that=_p99(beside) < limit_ms,
        otherwise=f"a good client waits {_p99(beside):.1f} ms, not {limit_ms:.1f}",
    )
    report.expect(
        that=during["door_fds"] > before["door_fds"] + 2 * each,
        otherwise="they were never all there at once",
    )
    report.expect(that=left <= _FDS_AWAY, otherwise=f"{left} descriptors stay open")
    return report


def _judge(report: Report, crowd: _Crowd) -> None:
    name, most_s = f"{crowd.manner}_kept_s", _WITHIN_S[crowd.manner] + _LATE_S
    report.note(**{name: max(crowd.kept_s)})
    report.expect(
        that=max(crowd.kept_s) <= most_s,
        otherwise=f"{name} is {max(crowd.kept_s):.1f}, more than {most_s}",
    )


@contextlib.asynccontextmanager
async def _beside(stage: Stage, each: int) -> AsyncIterator[list[_Crowd]]:
    """Have the slow ones there; in the end, wait until the last is cut off."""
    crowds = [_Crowd(manner, URL(stage.base_url)) for manner in _OPENINGS]
    async with asyncio.TaskGroup() as group:
        for crowd in crowds:
            for number in range(each):
                after_s = _ARRIVING_S * number / each
                group.create_task(crowd.be_slow(after_s=after_s))
        await asyncio.sleep(_ARRIVING_S)
        yield crowds
        for crowd in crowds:
            crowd.goes_on = False


@dataclass(frozen=True)
class _Good:
    """A client who asks one thing after the other, and a server that does nothing.

    Attributes:
        path: At the front door.
        bare: URL of the other.
    """

    http: aiohttp.ClientSession
    path: str
    bare: str

    async def times(self, *, seconds: float) -> tuple[list[float], list[float]]:
        """Ask both in turn; return how long their answers took, in ms."""
        took, bare = list[float](), list[float]()
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            took.append(await self._once(self.path))
            bare.append(await self._once(self.bare))
            await asyncio.sleep(_PAUSE_S)
        return took, bare

    async def _once(self, url: str) -> float:
        begun = time.perf_counter()
        headers = {"Authorization": f"Bearer {SECRET}"}
        async with self.http.get(url, headers=headers) as answer:
            assert answer.status == 200, answer.status
            await answer.read()
        return (time.perf_counter() - begun) * 1000


async def _until_back(stage: Stage, fds: float) -> tuple[float, float]:
    """Wait for the front door's descriptors; return how long, and how many too many."""
    begun = time.monotonic()
    while (left := (await gauges.read(stage))["door_fds"] - fds) > _FDS_AWAY:
        if time.monotonic() - begun > _BACK_WITHIN_S:
            break
        await asyncio.sleep(_LOOK_S)
    return time.monotonic() - begun, left


def _p99(took: list[float]) -> float:
    return sorted(took)[math.ceil(0.99 * len(took)) - 1]
