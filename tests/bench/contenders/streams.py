"""Many who follow a job each, and take what comes: streams PORT COUNT JOB...

Says how many there are once all of them have heard something, and stays.
"""

import asyncio
import sys
from typing import cast

import uvloop

from tests.bench.contenders._door import KEY

_AT_ONCE = 200
_GOOD = b"HTTP/1.1 200"


class _Follower(asyncio.Protocol):
    def __init__(self, request: bytes, heard: "asyncio.Future[bytes]") -> None:
        self._request, self._heard = request, heard

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast("asyncio.Transport", transport).write(self._request)

    def data_received(self, data: bytes) -> None:
        if not self._heard.done():
            self._heard.set_result(data)

    def connection_lost(self, exc: Exception | None) -> None:
        sys.exit("a stream was cut off")


async def _follow(port: int, count: int, jobs: list[str]) -> None:
    loop, gate = asyncio.get_running_loop(), asyncio.Semaphore(_AT_ONCE)

    async def open_one(number: int) -> None:
        request = (
            f"GET /v1/jobs/{jobs[number % len(jobs)]}/events HTTP/1.1\r\n"
            f"Host: 127.0.0.1\r\nAuthorization: Bearer {KEY}\r\n\r\n"
        )
        heard: asyncio.Future[bytes] = loop.create_future()
        async with gate:
            await loop.create_connection(
                lambda: _Follower(request.encode(), heard), "127.0.0.1", port
            )
            said = await heard
        if not said.startswith(_GOOD):
            sys.exit(said.decode())

    await asyncio.gather(*(open_one(number) for number in range(count)))
    print(count, flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(_follow(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]))
