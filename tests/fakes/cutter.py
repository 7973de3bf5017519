"""A proxy between a client and front doors that hangs up on both in mid-call."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Self
from urllib.parse import urlsplit

_CHUNK_BYTES = 65_536


class Cutter:
    """Forwards each connection to the next door; the first `cuts` of them are cut.

    Args:
        doors: Base URLs of the front doors, taken in turns.
        cuts: How many connections end before there is an answer.
        accepted: Returns once the request of connection number so-and-so (from 0) has
            been accepted; it is cut then.

    Attributes:
        connections: How many have come.
    """

    def __init__(
        self,
        doors: Sequence[str],
        *,
        cuts: int,
        accepted: Callable[[int], Awaitable[None]],
    ) -> None:
        self._doors, self._cuts, self._accepted = doors, cuts, accepted
        self.connections = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        host, port = self._server.sockets[0].getsockname()
        self.url = f"http://{host}:{port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await self._server.wait_closed()

    async def _serve(
        self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter
    ) -> None:
        number = self.connections
        self.connections += 1
        door = urlsplit(self._doors[number % len(self._doors)])
        from_door, to_door = await asyncio.open_connection(door.hostname, door.port)
        there = asyncio.create_task(_pump(client, to_door))
        back = asyncio.create_task(_pump(from_door, to_client))
        try:
            if number < self._cuts:
                await self._accepted(number)
            else:
                await asyncio.wait({there, back}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (there, back):
                task.cancel()
            for writer in (to_client, to_door):
                writer.transport.abort()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(_CHUNK_BYTES):
            writer.write(data)
            await writer.drain()
