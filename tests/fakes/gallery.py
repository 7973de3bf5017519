"""A front door with one job, whose images come out wrong as often as it is told."""

import hashlib
from typing import Any

from aiohttp import web

from tests.fakes.pictures import draw
from tests.fakes.served import Served

KEY = "sk_client"
PICTURE = draw("a fox", width=8, height=8)


class Gallery(Served):
    """That front door.

    Attributes:
        spoiled: So many downloads lack their last byte.
        expired: So many are refused, as if their URL had been signed long ago.
        strangers: Headers `Authorization` that came along with downloads.
    """

    def __init__(self) -> None:
        self.spoiled = self.expired = 0
        self.strangers: list[str] = []

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/v1/jobs/{id}", self._job),
            web.get("/picture", self._picture),
        ]

    async def _job(self, request: web.Request) -> web.Response:
        assert request.headers["Authorization"] == f"Bearer {KEY}"
        image = {
            "url": f"{self.url}/picture",
            "sha256": hashlib.sha256(PICTURE).hexdigest(),
            "width": 8,
            "height": 8,
            "content_type": "image/png",
        }
        job: dict[str, Any] = {"id": "job_1", "status": "succeeded", "error": None}
        return web.json_response(job | {"result": {"data": [image]}})

    async def _picture(self, request: web.Request) -> web.Response:
        self.strangers += request.headers.getall("Authorization", [])
        if self.expired:
            self.expired -= 1
            error = {"message": "no", "type": "error", "code": "url_expired"}
            return web.json_response({"error": error}, status=403)
        cut = bool(self.spoiled)
        self.spoiled -= cut
        data = PICTURE[:-1] if cut else PICTURE
        return web.Response(body=data, content_type="image/png")
