"""Server-sent events to one caller, who may hang up or stop reading at any moment.

`HungUp` says so, at once: nothing is written for nobody, and the connection cuts off
whoever takes nothing for too long.
"""

from collections.abc import Awaitable, Callable

import orjson
from aiohttp import web

from service.api.connection import SLICE
from service.api.context import FRONT, TRACE
from service.api.gate import sign

HEADERS = {
    "Content-Type": "text/event-stream",
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",  # proxies that collect answers let this one through
}


class HungUp(Exception):
    """There is nobody to write to any more."""


class EventStream:
    """Headers first, with `begin`; each event is whole, or the stream ends in it.

    Args:
        request: Whose answer this is.
        hung_up: Called when the caller hangs up.
    """

    def __init__(self, request: web.Request, *, hung_up: Callable[[], None]) -> None:
        self._request = request
        self.response = web.StreamResponse(headers=HEADERS)
        request[TRACE].hung_up = hung_up

    @property
    def is_cut(self) -> bool:
        """Whether the connection is gone."""
        transport = self._request.transport
        return transport is None or transport.is_closing()

    async def begin(self) -> None:
        """Send the headers; from here on the status is 200, whatever happens.

        Raises:
            HungUp: See above, as in all that write.
        """
        sign(self.response, self._request[TRACE], self._request.app[FRONT])
        try:
            await self.response.prepare(self._request)
        except ConnectionError as exc:
            raise HungUp from exc

    async def comment(self, text: str) -> None:
        """Write what clients skip, so that nobody takes the connection for dead."""
        await self._write(f": {text}\n\n".encode())

    async def send(self, event: bytes) -> None:
        """Write one event, or several; see `named` and `plain`."""
        await self._write(event)

    async def end(self) -> None:
        """Say that nothing follows."""
        await _unless_cut(self.response.write_eof())

    async def _write(self, data: bytes) -> None:
        whole = memoryview(data)
        for at in range(0, len(data), SLICE):
            await _unless_cut(self.response.write(whole[at : at + SLICE]))


async def _unless_cut(writing: Awaitable[None]) -> None:
    try:
        await writing
    except ConnectionError as exc:
        raise HungUp from exc


def named(name: str, data: dict[str, object]) -> bytes:
    """Return an event; its name stands in the data, too, where SDKs look."""
    body = orjson.dumps({"type": name, **data})
    return b"".join((f"event: {name}\ndata: ".encode(), body, b"\n\n"))


def plain(data: dict[str, object]) -> bytes:
    """Return an event without a name, as chats have them."""
    return b"".join((b"data: ", orjson.dumps(data), b"\n\n"))
