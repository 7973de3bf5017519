"""Streamed answers as OpenAI sends them, and the ways in which they go wrong.

Source: the API reference, "Image streaming".
"""

import base64
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson
from aiohttp import web

from tests.fakes.openai_rules import Call, Refusal
from tests.fakes.pictures import draw


async def stream(
    request: web.Request, call: Call, body: dict[str, Any]
) -> web.StreamResponse:
    """Send unfinished images, then the one that stands in `body`."""
    async with _begun(request, call) as events:
        await events.partials()
        final = {"b64_json": body["data"][0]["b64_json"], "usage": body["usage"]}
        await events.send("completed", final)
    return events.response


async def streamed_error(
    request: web.Request, call: Call, code: str
) -> web.StreamResponse:
    """Send unfinished images, then an error under the 200."""
    async with _begun(request, call) as events:
        await events.partials()
        await events.write("error", Refusal("It did not work.", code=code).body)
    return events.response


async def streamed_half(request: web.Request, call: Call, _: str) -> web.StreamResponse:
    """Send unfinished images and nothing else, as if all were well."""
    async with _begun(request, call) as events:
        await events.partials()
    return events.response


class _Events:
    def __init__(self, request: web.Request, call: Call) -> None:
        kind = "edit" if request.path.endswith("edits") else "generation"
        self._family, self._call = f"image_{kind}", call
        headers = {"Content-Type": "text/event-stream", "x-request-id": call.id}
        self.response = web.StreamResponse(headers=headers)

    async def partials(self) -> None:
        call = self._call
        for index in range(int(call.fields.get("partial_images", 0))):
            data = draw(
                f"{call.prompt}/{call.id}/partial {index}",
                width=call.width,
                height=call.height,
                image_format=call.image_format,
            )
            inline = base64.b64encode(data).decode()
            event = {"b64_json": inline, "partial_image_index": index}
            await self.send("partial_image", event)

    async def send(self, name: str, data: dict[str, Any]) -> None:
        call = self._call
        about = {
            "created_at": int(time.time()),
            "size": f"{call.width}x{call.height}",
            "quality": call.fields.get("quality", "auto"),
            "background": call.fields.get("background", "auto"),
            "output_format": call.image_format,
        }
        await self.write(f"{self._family}.{name}", {**about, **data})

    async def write(self, kind: str, data: dict[str, Any]) -> None:
        body = orjson.dumps({"type": kind, **data})
        await self.response.write(b"event: %b\ndata: %b\n\n" % (kind.encode(), body))


@asynccontextmanager
async def _begun(request: web.Request, call: Call) -> AsyncIterator[_Events]:
    events = _Events(request, call)
    await events.response.prepare(request)
    yield events
    await events.response.write_eof()
