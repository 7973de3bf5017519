"""aiohttp's server with our gate before the application, and behind its parser.

What the HTTP parser refuses never reaches an application, and what goes wrong while
an answer is written comes after it: both need a connection class of our own.
"""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator

import structlog
from aiohttp import web

from service.api.app import BEAT_S, make_app
from service.api.connection import MOST_LINE_BYTES, Connection
from service.api.context import FRONT, Front
from service.api.gate import Gate
from service.catalog_file import LiveCatalog
from service.settings import Settings

log = structlog.get_logger()

_KEEP_ALIVE_S = 15.0
_LINGER_S = 2.0
_CANCEL_S = 1.0
_NOTICE_S = 5.0
"""A balancer that asks `/readyz` has noticed by then that nobody should come here."""


class _Server(web.Server):
    def __call__(self) -> web.RequestHandler:
        return Connection(self, loop=self._loop, **self._kwargs)


class _Runner(web.AppRunner):
    gate: Gate

    async def _make_server(self) -> web.Server:
        plain = await super()._make_server()
        self.gate = Gate(self.app, plain.request_handler)
        return _Server(
            self.gate,
            request_factory=plain.request_factory,
            write_s=self.app[FRONT].settings.limits.write_s,
            **self._kwargs,
        )


class Door:
    """A front door that is open."""

    def __init__(
        self,
        runner: _Runner,
        site: web.SockSite,
        settings: Settings,
        *,
        notice_s: float,
    ) -> None:
        self._runner, self._site, self._settings = runner, site, settings
        self._notice_s = notice_s

    @property
    def front(self) -> Front:
        """All that it works with."""
        return self._runner.app[FRONT]

    async def drain(self, *, hurry: asyncio.Event) -> None:
        """Turn `/readyz` red, end streams of events, and let requests finish.

        New ones are still served for a moment, each on its connection's last turn, so
        that a balancer that has not noticed yet does no harm. Then nobody gets in any
        more: a door that is always busy would never be done.

        Args:
            hurry: Once set, nothing is waited for any longer.
        """
        gate = self._runner.gate
        self.front.pulse.draining = gate.draining = True
        self.front.waiters.drain()
        self.front.hub.drain()
        log.info("door.draining")
        waits = [asyncio.create_task(self._idle()), asyncio.create_task(hurry.wait())]
        shutting = asyncio.create_task(self._shut())
        await asyncio.wait(
            waits,
            timeout=self._settings.drain_s,
            return_when=asyncio.FIRST_COMPLETED,
        )
        for task in (*waits, shutting):
            task.cancel()

    async def _shut(self) -> None:
        """Listen no longer; who is in stays."""
        await asyncio.sleep(self._notice_s)
        await self._site.stop()
        log.info("door.shut")

    async def _idle(self) -> None:
        await self._runner.gate.drained()
        await self.front.hub.drained()


@contextlib.asynccontextmanager
async def open_door(
    settings: Settings,
    live: LiveCatalog,
    sock: socket.socket,
    *,
    beat_s: float = BEAT_S,
    keep_alive_s: float = _KEEP_ALIVE_S,
    linger_s: float = _LINGER_S,
    notice_s: float = _NOTICE_S,
) -> AsyncIterator[Door]:
    """Serve on `sock`, which is bound to `settings.port`, until left; closes it.

    Args:
        settings: The front door's.
        live: What may be asked for.
        sock: Need not listen yet.
        beat_s: See `make_app`.
        keep_alive_s: A connection that says nothing for so long is closed.
        linger_s: Who is refused in the middle of a body may send on for so long.
        notice_s: A door that drains lets callers in for so long.
    """
    runner = _Runner(
        make_app(settings, live, beat_s=beat_s),
        access_log=None,
        keepalive_timeout=keep_alive_s,
        max_line_size=MOST_LINE_BYTES,
        lingering_time=linger_s,
        auto_decompress=False,
        handler_cancellation=False,
        shutdown_timeout=_CANCEL_S,
    )
    await runner.setup()
    try:
        site = web.SockSite(runner, sock, backlog=1024)
        await site.start()
        log.info("door.opened", port=settings.port, links=settings.base_url)
        yield Door(runner, site, settings, notice_s=notice_s)
    finally:
        await runner.cleanup()
        log.info("door.closed")
