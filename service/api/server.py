"""aiohttp's server with our gate before the application, and behind its parser.

What the HTTP parser refuses never reaches an application, and what goes wrong while
an answer is written comes after it: both need a connection class of our own.
"""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from http import HTTPStatus

import structlog
from aiohttp import web
from aiohttp.http_exceptions import LineTooLong

from service.api.app import BEAT_S, make_app
from service.api.context import FRONT, TRACE, Front
from service.api.gate import SERVER, Gate, request_id_of
from service.api.problems import INTERNAL, Problem
from service.core.catalog import Catalog
from service.settings import Settings

log = structlog.get_logger()

_KEEP_ALIVE_S = 15.0
_LINGER_S = 2.0
_CANCEL_S = 1.0


class _Connection(web.RequestHandler):
    """One connection."""

    def connection_lost(self, exc: BaseException | None) -> None:
        """Tell who wants to know; overrides aiohttp 3.14, which tells only readers."""
        request = self._current_request
        super().connection_lost(exc)
        trace = None if request is None else request.get(TRACE)
        if trace is not None and trace.hung_up is not None:
            trace.hung_up()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what the parser refused; overrides aiohttp 3.14's HTML page."""
        if request.writer.output_size > 0:
            raise ConnectionError("an answer had begun already")
        _ = message  # the parser's own, in words no caller needs
        problem = _MALFORMED if status == HTTPStatus.BAD_REQUEST else INTERNAL
        if isinstance(exc, LineTooLong) and exc.args[1] == _MOST_LINE_BYTES:
            problem = _TOO_LONG
        request_id = request_id_of(request)
        log.info("request.malformed", request_id=request_id, error=type(exc).__name__)
        response = problem.response(request_id)
        response.headers["x-request-id"] = request_id
        response.headers["Server"] = SERVER
        response.force_close()
        return response

    async def finish_response(
        self,
        request: web.BaseRequest,
        resp: web.StreamResponse,
        start_time: float | None,
    ) -> tuple[web.StreamResponse, bool]:
        """Write the answer; tell who wants to know when it went out whole."""
        written, cut_off = await super().finish_response(request, resp, start_time)
        trace = request.get(TRACE)
        if trace is not None and trace.answered is not None and not cut_off:
            await trace.answered()
        return written, cut_off


_MALFORMED = Problem(
    status=HTTPStatus.BAD_REQUEST,
    code="malformed_request",
    message="this is not a well-formed HTTP request",
)


_MOST_LINE_BYTES = 8192
"""Of the request line; not the limit of a header, so that errors tell which it was."""

_TOO_LONG = Problem(
    status=HTTPStatus.BAD_REQUEST,
    code="uri_too_long",
    message=f"the URL has more than {_MOST_LINE_BYTES:,} bytes",
)


class _Server(web.Server):
    def __call__(self) -> web.RequestHandler:
        return _Connection(self, loop=self._loop, **self._kwargs)


class _Runner(web.AppRunner):
    gate: Gate

    async def _make_server(self) -> web.Server:
        plain = await super()._make_server()
        self.gate = Gate(self.app, plain.request_handler)
        return _Server(self.gate, request_factory=plain.request_factory, **self._kwargs)


class Door:
    """A front door that is open."""

    def __init__(self, runner: _Runner, settings: Settings) -> None:
        self._runner, self._settings = runner, settings

    @property
    def front(self) -> Front:
        """All that it works with."""
        return self._runner.app[FRONT]

    async def drain(self, *, hurry: asyncio.Event) -> None:
        """Turn `/readyz` red and let requests under way finish.

        New ones are still served meanwhile, each on its connection's last turn, so
        that a balancer that has not noticed yet does no harm.

        Args:
            hurry: Once set, nothing is waited for any longer.
        """
        gate = self._runner.gate
        self.front.pulse.draining = gate.draining = True
        self.front.waiters.drain()
        log.info("door.draining")
        waits = [asyncio.create_task(gate.drained()), asyncio.create_task(hurry.wait())]
        await asyncio.wait(
            waits,
            timeout=self._settings.drain_s,
            return_when=asyncio.FIRST_COMPLETED,
        )
        for wait in waits:
            wait.cancel()


@contextlib.asynccontextmanager
async def open_door(
    settings: Settings,
    catalog: Catalog,
    sock: socket.socket,
    *,
    beat_s: float = BEAT_S,
    keep_alive_s: float = _KEEP_ALIVE_S,
) -> AsyncIterator[Door]:
    """Serve on `sock`, which is bound to `settings.port`, until left; closes it.

    Args:
        settings: The front door's.
        catalog: What may be asked for.
        sock: Need not listen yet.
        beat_s: See `make_app`.
        keep_alive_s: A connection that says nothing for so long is closed.
    """
    runner = _Runner(
        make_app(settings, catalog, beat_s=beat_s),
        access_log=None,
        keepalive_timeout=keep_alive_s,
        max_line_size=_MOST_LINE_BYTES,
        lingering_time=_LINGER_S,
        auto_decompress=False,
        handler_cancellation=False,
        shutdown_timeout=_CANCEL_S,
    )
    await runner.setup()
    try:
        await web.SockSite(runner, sock, backlog=1024).start()
        log.info("door.opened", port=settings.port, links=settings.base_url)
        yield Door(runner, settings)
    finally:
        await runner.cleanup()
        log.info("door.closed")
