"""A provider that tells everybody what it was told, keys included."""

import base64
from typing import Any

from aiohttp import web

from tests.fakes.images import encoded, noise
from tests.fakes.served import Served

_PNG = base64.b64encode(encoded(noise(64, 64), "PNG")).decode()


class Gossip(Served):
    """The first word of a prompt is the status that its call is answered; after `200`
    comes an image, and after all else the headers of the call.

    Attributes:
        keys: What it was called with.
    """

    def __init__(self) -> None:
        self.keys: set[str] = set()

    def routes(self) -> list[web.RouteDef]:
        return [web.post("/v1/images/generations", self._answer)]

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
