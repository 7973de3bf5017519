"""An upstream that speaks OpenAI's images API and does not answer: slow_upstream CALLS

Says `held` on stderr when it holds so many calls; SIGUSR1 lets them all go at once,
each with an image of 182x182 pixels and 100 KB.
"""

import asyncio
import base64
import signal
import sys
from collections.abc import AsyncIterator

from aiohttp import web

from tests.bench.contenders._door import run
from tests.bench.pngs import Picture

_PICTURE = Picture(side=182, noisy=182)


class Upstream:
    """All calls, and whether they may go."""

    def __init__(self, most: int) -> None:
        self._held, self._most = 0, most
        self._released = asyncio.Event()
        self._body = {
            "created": 1,
            "data": [{"b64_json": base64.b64encode(_PICTURE.png).decode()}],
        }

    async def listen(self, _: web.Application) -> AsyncIterator[None]:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGUSR1, self._released.set)
        yield

    async def generate(self, request: web.Request) -> web.Response:
        await request.read()
        self._held += 1
        if self._held == self._most:
            print("held", file=sys.stderr, flush=True)
        await self._released.wait()
        return web.json_response(self._body)


if __name__ == "__main__":
    upstream = Upstream(int(sys.argv[1]))
    app = web.Application()
    app.cleanup_ctx.append(upstream.listen)
    app.router.add_post("/v1/images/generations", upstream.generate)
    run(app)
