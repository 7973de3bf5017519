"""A provider that tells everybody what it was told, keys included."""

import base64
from types import TracebackType
from typing import Any, Self

from aiohttp import web

from tests.fakes.images import encoded, noise

_PNG = base64.b64encode(encoded(noise(64, 64), "PNG")).decode()


class Gossip:
    """Serves on a port of 127.0.0.1 while the context is open.

    The first word of a prompt is the status that its call is answered; after `200`
    comes an image, and after all else the headers of the call.

    Attributes:
        keys: What it was called with.
    """

    def __init__(self) -> None:
        self.keys: set[str] = set()

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_post("/v1/images/generations", self._answer)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/v1"
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> web.Response:
        self.keys.add(request.headers["Authorization"].removeprefix("Bearer "))
        fields: dict[str, Any] = await request.json()
        status = int(fields["prompt"].split()[0])
        if status == 200:
            return web.json_response({"created": 1, "data": [{"b64_json": _PNG}]})
        told = f"Incorrect key: {dict(request.headers)} {fields}"
        return web.json_response(
            {"error": {"message": told, "code": told, "type": told}},
            status=status,
            headers={"Retry-After": "0", "X-Told": told[:100]},
        )
