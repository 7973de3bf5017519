"""Somebody's web server that pictures are linked from, and all that may lie there."""

import asyncio
from collections.abc import Awaitable, Callable

from aiohttp import web

from tests.fakes.images import encoded, moving, noise
from tests.fakes.served import Served

PNG = encoded(noise(64, 48), "PNG")
MIB = 1 << 20


class PictureHost(Served):
    """That web server.

    Attributes:
        seen: Names asked for, in order.
    """

    def __init__(self) -> None:
        self.seen: list[str] = []
        self._ended = asyncio.Event()
        self._bodies = {
            "fox.png": PNG,
            "moving.webp": moving("WEBP", 3),
            "page.html": b"<html>not an image</html>",
            "drawing.svg": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
            "paper.pdf": b"%PDF-1.7\n",
            "nothing": b"",
            "half.png": PNG[: len(PNG) // 2],
            "20mib.png": PNG + bytes(20 * MIB - len(PNG)),
            "more.png": PNG + bytes(20 * MIB + 1 - len(PNG)),
        }
        self._ways: dict[str, Callable[[web.Request], Awaitable[web.StreamResponse]]]
        self._ways = {
            "endless": _endless,
            "hang": self._hang,
            "drip": _drip,
            "cut": _cut,
        }

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/{name}", self._answer)]

    async def __aexit__(self, *error: object) -> None:
        self.let_go()
        await super().__aexit__(*error)

    def let_go(self) -> None:
        """Answer, with nothing, who was left to hang."""
        self._ended.set()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"]
        self.seen.append(name)
        if name in self._ways:
            return await self._ways[name](request)
        if name == "away":
            return web.Response(status=302, headers={"Location": request.query["to"]})
        if name.isdecimal():
            return web.Response(status=int(name), body=PNG)
        # What it calls itself is of no interest.
        return web.Response(body=self._bodies[name], content_type="text/html")

    async def _hang(self, _: web.Request) -> web.StreamResponse:
        await self._ended.wait()
        return web.Response()


async def _endless(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    while True:
        await response.write(bytes(100_000))


async def _drip(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    for byte in PNG:
        await response.write(bytes([byte]))
        await asyncio.sleep(0.05)
    return response


async def _cut(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Length": str(len(PNG))})
    await response.prepare(request)
    await response.write(PNG[:100])
    assert request.transport is not None
    request.transport.abort()
    return response
