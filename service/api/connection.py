"""One connection of a caller: whoever takes nothing of an answer is cut off.

What an answer still holds is bounded by a slice, and nothing outlives a connection in
a cycle of objects: the collector looks for those too seldom to keep up with images.
"""

import asyncio
from http import HTTPStatus
from typing import Any

import structlog
from aiohttp import web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http_exceptions import LineTooLong
from aiohttp.payload import Payload

from service.api.context import TRACE
from service.api.gate import mark, request_id_of
from service.api.problems import INTERNAL, MALFORMED, Problem
from service.sockets import cut_off, hold_at_most

log = structlog.get_logger()

MOST_LINE_BYTES = 8192
"""Of the request line; not the limit of a header, so that errors tell which it was."""

_TOO_LONG = Problem(
    status=HTTPStatus.BAD_REQUEST,
    code="uri_too_long",
    message=f"the URL has more than {MOST_LINE_BYTES:,} bytes",
)

SLICE = 65_536
"""aiohttp waits for the caller to take what was written beyond so many bytes."""

_KERNEL_BYTES = 262_144
"""What the kernel takes from us for a caller who takes nothing; Linux doubles it. By
itself it would grow to 4 MB, which hundreds who do not read could fill at once."""


class Connection(web.RequestHandler):
    """One connection; overrides parts of aiohttp 3.14.

    Args:
        write_s: Whoever takes nothing for so many seconds is cut off.
        aiohttp: Positions and options of its own.
    """

    def __init__(self, *aiohttp: Any, write_s: float, **options: Any) -> None:
        super().__init__(*aiohttp, **options)
        self._write_s = write_s
        self._is_given = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take every byte for a reason to wait that is not the kernel's yet."""
        super().connection_made(transport)
        if self.transport is not None:
            self.transport.set_write_buffer_limits(high=0)
            hold_at_most(self.transport, _KERNEL_BYTES)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Tell who wants to know; aiohttp tells only readers, and whoever drains.

        An error that the latter's future held would hold its frames, and those the
        answer and the future.
        """
        request = self._current_request
        waiter, self._drain_waiter = self._drain_waiter, None
        super().connection_lost(exc)
        if waiter is not None and not waiter.done():
            waiter.set_result(None)
        trace = None if request is None else request.get(TRACE)
        if trace is not None and trace.hung_up is not None:
            trace.hung_up()

    async def _drain_helper(self) -> None:
        """Wait until the kernel has all that was written; every answer goes by here.

        Raises:
            ConnectionError: The caller went away, or takes nothing.
        """
        try:
            async with asyncio.timeout(self._write_s):
                await super()._drain_helper()
        except TimeoutError:
            self._reset()
            raise ConnectionResetError("the caller takes nothing") from None
        if self.transport is None:
            raise ConnectionResetError("the caller went away")

    def _reset(self) -> None:
        """Cut the caller off, and let the kernel forget what it holds for him."""
        if self.transport is not None:
            cut_off(self.transport)

    def hand_over(self, taker: asyncio.Protocol) -> asyncio.Transport:
        """Give the socket to somebody else; for aiohttp the caller went away.

        What a connection costs (a task, the request, a parser) is given back, which
        is ten times what one costs that only is written to now and then.

        Raises:
            ConnectionError: There is no caller any more.
        """
        transport = self.transport
        if transport is None or transport.is_closing():
            raise ConnectionResetError("the caller went away")
        self._is_given, self.transport = True, None
        transport.set_protocol(taker)
        if not transport.is_reading():  # or nobody would see him hang up
            transport.resume_reading()
        self.connection_lost(None)
        return transport

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what the parser refused; aiohttp would with a page of HTML."""
        if request.writer.output_size > 0:
            raise ConnectionError("an answer had begun already")
        _ = message  # the parser's own, in words no caller needs
        problem = MALFORMED if status == HTTPStatus.BAD_REQUEST else INTERNAL
        if isinstance(exc, LineTooLong) and exc.args[1] == MOST_LINE_BYTES:
            problem = _TOO_LONG
        request_id = request_id_of(request)
        log.info("request.malformed", request_id=request_id, error=type(exc).__name__)
        response = problem.response(request_id)
        mark(response, request_id)
        response.force_close()
        return response

    async def finish_response(
        self,
        request: web.BaseRequest,
        resp: web.StreamResponse,
        start_time: float | None,
    ) -> tuple[web.StreamResponse, bool]:
        """Write the answer; tell who wants to know when it went out whole."""
        if self._is_given:
            return resp, True
        if isinstance(resp, web.Response):
            body = resp.body
            if isinstance(body, bytes) and len(body) > SLICE:
                resp.body = _Slices(body)
            del body
        written, cut_off = await super().finish_response(request, resp, start_time)
        trace = request.get(TRACE)
        if trace is None:
            return written, cut_off
        if cut_off:
            log.info("answer.abandoned", request_id=trace.request_id)
        elif trace.answered is not None:
            await trace.answered()
        return written, cut_off


class _Slices(Payload):
    """A large body, which goes out as fast as it is taken; else it were copied."""

    _value: bytes

    @property
    def size(self) -> int:
        return len(self._value)

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        return self._value.decode(encoding, errors)

    async def write(self, writer: AbstractStreamWriter) -> None:
        whole = memoryview(self._value)
        for at in range(0, len(whole), SLICE):
            await writer.write(whole[at : at + SLICE])
