"""Somebody's server that hears of events, and trusts none that is not signed right.

What it is sent it checks with the reference library of Standard Webhooks, never with
our own code. It behaves as it is told: `status` is what it answers, and paths have
ways of their own (`/hang`, `/away`, `/drip`, `/cut`, `/410`).
"""

import asyncio
import contextlib
import time
from collections import Counter
from typing import Any, NamedTuple

from aiohttp import web
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from tests.fakes.served import Served


class Heard(NamedTuple):
    """One request, as it came.

    Attributes:
        path: Where to.
        id: The `webhook-id`.
        headers: In lower case.
        event: What its body says.
    """

    path: str
    id: str
    headers: dict[str, str]
    body: bytes
    event: dict[str, Any]
    at: float


def verifies(heard: Heard, secret: str) -> bool:
    """Whether it was signed with this secret, among others."""
    try:
        Webhook(secret).verify(heard.body, heard.headers)
    except WebhookVerificationError:
        return False
    return True


class Receiver(Served):
    """That server.

    Attributes:
        secrets: Whichever of these a request is signed with is right.
        heard: What came, and was signed right, in order.
        forged: What came and was not.
        status: What is answered; 0 hangs up instead.
        takes_s: How long that takes.
    """

    def __init__(self, *secrets: str) -> None:
        self.secrets = list(secrets)
        self.heard: list[Heard] = []
        self.forged: list[bytes] = []
        self.status, self.takes_s = 200, 0.0
        self.says = b"thanks"
        self.came = asyncio.Condition()
        self._ended = asyncio.Event()

    def routes(self) -> list[web.RouteDef]:
        return [web.post("/{path:.*}", self._hear)]

    async def __aexit__(self, *error: object) -> None:
        self._ended.set()
        await super().__aexit__(*error)

    async def until(self, count: int, *, within_s: float = 10) -> list[Heard]:
        """Wait for so many requests in all; return them."""
        async with asyncio.timeout(within_s), self.came:
            await self.came.wait_for(lambda: len(self.heard) >= count)
        return self.heard[:count]

    def times(self) -> Counter[str]:
        """How often each event came."""
        return Counter(heard.id for heard in self.heard)

    async def _hear(self, request: web.Request) -> web.StreamResponse:
        path, body = request.match_info["path"], await request.read()
        headers = {name.lower(): value for name, value in request.headers.items()}
        event = self._verified(body, headers)
        if event is None:
            self.forged.append(body)
            return web.Response(status=401)
        heard = Heard(path, headers["webhook-id"], headers, body, event, time.time())
        self.heard.append(heard)
        async with self.came:
            self.came.notify_all()
        return await self._answer(request, path)

    def _verified(self, body: bytes, headers: dict[str, str]) -> Any:
        for secret in self.secrets:
            try:
                return Webhook(secret).verify(body, headers)
            except WebhookVerificationError:
                continue
        return None

    async def _answer(self, request: web.Request, path: str) -> web.StreamResponse:
        assert request.transport is not None
        if self.takes_s:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self.takes_s):
                    await self._ended.wait()
        if path == "hang":
            await self._ended.wait()
        if path == "cut" or self.status == 0:
            request.transport.abort()
        if path == "away":
            return web.Response(status=307, headers={"Location": "/elsewhere"})
        if path == "drip":
            return await _drip(request)
        status = int(path) if path.isdecimal() else self.status or 500
        return web.Response(status=status, body=self.says)


async def _drip(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    while True:
        await response.write(b".")
        await asyncio.sleep(0.02)
