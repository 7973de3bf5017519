"""What an upstream can do instead of answering, whichever provider it is."""

import asyncio
from collections.abc import Awaitable, Callable

from aiohttp import web

from tests.fakes.upstreams.words import Link, Result


def _aborted(request: web.Request) -> web.Response:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


REFUSALS = {
    "status": (0, "server_error"),
    "overloaded": (503, "overloaded"),
    "unauthorized": (401, "unauthorized"),
    "unpaid": (402, "unpaid"),
}


SPOILT: dict[str, Callable[[bytes, str], list[Result]]] = {
    "half_image": lambda data, _: [data[: len(data) // 2]],
    "not_an_image": lambda _, __: [b"<html>not an image</html>"],
    "empty": lambda _, __: [],
    "fewer": lambda data, _: [data],
    "link": lambda _, link: [Link(link)],
}


async def _html(_: web.Request, status: str) -> web.Response:
    page = "<html><title>Bad gateway</title></html>"
    return web.Response(text=page, content_type="text/html", status=int(status))


async def _hang(_: web.Request, __: str) -> web.Response:
    return await asyncio.get_running_loop().create_future()


async def _hang_midway(request: web.Request, _: str) -> web.StreamResponse:
    response = await _half_an_answer(request)
    await asyncio.get_running_loop().create_future()
    return response


async def _reset(request: web.Request, _: str) -> web.Response:
    return _aborted(request)


async def _reset_midway(request: web.Request, _: str) -> web.Response:
    await _half_an_answer(request)
    return _aborted(request)


async def _half_an_answer(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Length": "100000"})
    response.content_type = "application/json"
    await response.prepare(request)
    await response.write(b'{"created": 1, "data": [{"b64_json": "')
    return response


async def _endless(request: web.Request, _: str) -> web.StreamResponse:
    response = web.StreamResponse()
    response.content_type = "application/json"
    await response.prepare(request)
    while True:
        await response.write(b" " * 1_000_000)


BROKEN: dict[str, Callable[[web.Request, str], Awaitable[web.StreamResponse]]] = {
    "html": _html,
    "hang": _hang,
    "reset": _reset,
    "hang_midway": _hang_midway,
    "reset_midway": _reset_midway,
    "huge": _endless,
}
