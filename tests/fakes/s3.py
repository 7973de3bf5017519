"""A store that answers in the S3 way, and misbehaves as it is told."""

import asyncio
from collections.abc import Mapping
from typing import Self

from aiohttp import web
from aiohttp.test_utils import TestServer

ERROR = '<?xml version="1.0"?><Error><Code>{code}</Code><Message>no</Message></Error>'


class MoodyS3:
    """Answers each request with the next of its moods, then as a store does.

    A mood is a status (503), a code (`"NoSuchBucket"`), `"reset"` or `"hang"`.
    `requests` are the ones it was sent, with lower-case header names.
    """

    STATUS: Mapping[str, int] = {"NoSuchBucket": 404, "SlowDown": 503}

    def __init__(self, *moods: int | str) -> None:
        self._moods = list(moods)
        self.objects: dict[str, bytes] = {}
        self.requests: list[tuple[str, str, Mapping[str, str]]] = []
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._answer)
        self._server = TestServer(app, host="127.0.0.1")

    @property
    def url(self) -> str:
        return str(self._server.make_url("/")).rstrip("/")

    async def __aenter__(self) -> Self:
        await self._server.start_server()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._server.close()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.requests.append((request.method, request.raw_path, headers))
        match self._moods.pop(0) if self._moods else None:
            case "reset":
                assert request.transport is not None
                request.transport.abort()
            case "hang":
                await asyncio.Event().wait()
            case str() as code:
                status = self.STATUS.get(code, 403)
                return web.Response(status=status, text=ERROR.format(code=code))
            case int() as status:
                return web.Response(status=status)
        return await self._store(request)

    async def _store(self, request: web.Request) -> web.Response:
        match request.method:
            case "PUT":
                self.objects[request.path] = await request.read()
            case "DELETE":
                self.objects.pop(request.path, None)
            case _ if request.path not in self.objects:
                return web.Response(status=404, text=ERROR.format(code="NoSuchKey"))
        return web.Response(body=self.objects.get(request.path))
