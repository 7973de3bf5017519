"""Everything an upstream has been seen to do instead of answering.

A fault is asked for by name, with an argument behind a colon where it takes one:
`throttled`, `throttled:7`, `status:500`, `url:http://10.0.0.1/x.png`.
"""

import asyncio
import base64
import gzip
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from tests.fakes.images import bilevel_png
from tests.fakes.openai_rules import Call, Refusal
from tests.fakes.openai_streams import streamed_error, streamed_half
from tests.fakes.pictures import draw

Fault = Callable[[web.Request, Call, str], Awaitable[web.StreamResponse]]


def _image(call: Call) -> bytes:
    return draw(
        call.id, width=call.width, height=call.height, image_format=call.image_format
    )


def _answer(items: list[dict[str, Any]]) -> web.Response:
    return web.json_response({"created": 1, "data": items})


def _b64(data: bytes) -> dict[str, str]:
    return {"b64_json": base64.b64encode(data).decode()}


async def throttled(request: web.Request, call: Call, wait: str) -> web.Response:
    refusal = Refusal("Slow down.", code="rate_limit_exceeded", kind="requests")
    headers = {"Retry-After": wait} if wait else {}
    return web.json_response(refusal.body, status=429, headers=headers)


async def status(request: web.Request, call: Call, number: str) -> web.Response:
    refusal = Refusal("The server had an error.", code=None, kind="server_error")
    return web.json_response(refusal.body, status=int(number))


async def html(request: web.Request, call: Call, number: str) -> web.Response:
    page = "<html><title>Bad gateway</title></html>"
    return web.Response(text=page, content_type="text/html", status=int(number))


async def unauthorized(request: web.Request, call: Call, _: str) -> web.Response:
    refusal = Refusal("Incorrect API key provided: sk-1.", code="invalid_api_key")
    return web.json_response(refusal.body, status=401)


async def unpaid(request: web.Request, call: Call, _: str) -> web.Response:
    refusal = Refusal(
        "You exceeded your current quota.",
        code="insufficient_quota",
        kind="insufficient_quota",
    )
    return web.json_response(refusal.body, status=429)


async def rejected(request: web.Request, call: Call, code: str) -> web.Response:
    refusal = Refusal(
        "Your request was rejected by the safety system. safety_violations=[x].",
        code=code or "moderation_blocked",
        kind="image_generation_user_error",
    )
    return web.json_response(refusal.body, status=400)


async def hang(request: web.Request, call: Call, _: str) -> web.Response:
    return await asyncio.get_running_loop().create_future()


async def hang_midway(request: web.Request, call: Call, _: str) -> web.Response:
    response = await _half_an_answer(request)
    await asyncio.get_running_loop().create_future()
    return response


async def reset(request: web.Request, call: Call, _: str) -> web.Response:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def reset_midway(request: web.Request, call: Call, _: str) -> web.StreamResponse:
    response = await _half_an_answer(request)
    assert request.transport is not None
    request.transport.abort()
    return response


async def _half_an_answer(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Length": "100000"})
    response.content_type = "application/json"
    await response.prepare(request)
    await response.write(b'{"created": 1, "data": [{"b64_json": "')
    return response


async def error_under_200(request: web.Request, call: Call, _: str) -> web.Response:
    return web.json_response({"error": {"message": "no", "code": "server_error"}})


async def body(request: web.Request, call: Call, text: str) -> web.Response:
    return web.Response(text=text, content_type="application/json")


async def half_image(request: web.Request, call: Call, _: str) -> web.Response:
    data = _image(call)
    return _answer([_b64(data[: len(data) // 2])])


async def not_an_image(request: web.Request, call: Call, _: str) -> web.Response:
    return _answer([_b64(b"<html>not an image</html>")])


async def not_base64(request: web.Request, call: Call, _: str) -> web.Response:
    return _answer([{"b64_json": "%%%"}])


async def url(request: web.Request, call: Call, target: str) -> web.Response:
    return _answer([{"url": target}])


async def data_url(request: web.Request, call: Call, _: str) -> web.Response:
    text = base64.b64encode(_image(call)).decode()
    return _answer([{"url": f"data:image/png;base64,{text}"}])


async def fewer(request: web.Request, call: Call, _: str) -> web.Response:
    return _answer([_b64(_image(call))])


async def twice(request: web.Request, call: Call, _: str) -> web.Response:
    return _answer([_b64(_image(call))] * (call.n + 1))


async def pixel(request: web.Request, call: Call, _: str) -> web.Response:
    return _answer([_b64(draw(call.id, width=1, height=1))] * call.n)


async def bomb(request: web.Request, call: Call, _: str) -> web.Response:
    return _answer([_b64(bilevel_png(8000, 6000))])


async def svg(request: web.Request, call: Call, _: str) -> web.Response:
    text = '<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
    return _answer([_b64(text.encode())])


async def trickle(request: web.Request, call: Call, _: str) -> web.StreamResponse:
    response = await _half_an_answer(request)
    while True:
        await response.write(b"A")
        await asyncio.sleep(1)


async def huge(request: web.Request, call: Call, _: str) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    while True:
        await response.write(b" " * 1_000_000)


async def gzip_bomb(request: web.Request, call: Call, _: str) -> web.Response:
    bomb = gzip.compress(b" " * 64_000_000, compresslevel=1)
    return web.Response(body=bomb, headers={"Content-Encoding": "gzip"})


async def redirect(request: web.Request, call: Call, target: str) -> web.Response:
    return web.Response(status=307, headers={"Location": target})


FAULTS: dict[str, Fault] = {
    fault.__name__: fault
    for fault in (
        throttled,
        status,
        html,
        unauthorized,
        unpaid,
        rejected,
        hang,
        hang_midway,
        reset,
        reset_midway,
        error_under_200,
        body,
        half_image,
        not_an_image,
        not_base64,
        url,
        data_url,
        fewer,
        twice,
        pixel,
        bomb,
        svg,
        trickle,
        huge,
        gzip_bomb,
        redirect,
        streamed_error,
        streamed_half,
    )
}
