"""A line between any two that is slow, narrow, cut, dead or noisy, as told.

`async with BadLine("127.0.0.1:6379", weather=Weather(reset=0.01)) as line`, then
`line.address` stands for the server's. Dice are rolled for every chunk that passes,
either way; the same seed rolls the same.
"""

import asyncio
import contextlib
import random
import socket
import struct
from dataclasses import dataclass
from typing import Self

_CHUNK_BYTES = 16_384
_RESET = struct.pack("ii", 1, 0)
"""Linger for no time: closing sends RST."""


@dataclass(frozen=True, kw_only=True)
class Weather:
    """What a chunk may meet on its way.

    Attributes:
        latency_s: It comes so much later, and those behind it with it.
        bytes_per_s: No more than these pass; None: as many as will.
        drop: Share of chunks at which the connection is closed, as by a proxy.
        reset: Share at which it is reset.
        stall: Share at which it goes dead: open for ever, and nothing passes.
        corrupt: Share of what the server sends of which one byte arrives as another.
            What it is sent arrives whole: nobody can know that it refuses noise.
    """

    latency_s: float = 0
    bytes_per_s: float | None = None
    drop: float = 0
    reset: float = 0
    stall: float = 0
    corrupt: float = 0


FAIR = Weather()


class BadLine:
    """Carries connections to one server while the context is open.

    Args:
        server: `host:port`, or the path of a unix socket.
        weather: May be changed at any time; it holds for what passes from then on.
        seed: Of the dice.

    Attributes:
        connections: How many were made.
        struck: How many of them were closed, reset or went dead on their way.
    """

    def __init__(self, server: str, *, weather: Weather = FAIR, seed: int = 0) -> None:
        self._server, self.weather = server, weather
        self._dice = random.Random(seed)
        self._flows = asyncio.Event()
        self._flows.set()
        self._carried = set[asyncio.Task[None]]()
        self.connections = self.struck = 0

    async def __aenter__(self) -> Self:
        self._listener = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        host, port = self._listener.sockets[0].getsockname()
        self.address = f"{host}:{port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._listener.close()
        for task in self._carried:
            task.cancel()
        await asyncio.gather(*self._carried, return_exceptions=True)
        await self._listener.wait_closed()

    def freeze(self) -> None:
        """Let nothing pass; connections stay, and new ones are taken."""
        self._flows.clear()

    def thaw(self) -> None:
        """Let pass what has waited, and the rest."""
        self._flows.set()

    def _accept(
        self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter
    ) -> None:
        task = asyncio.create_task(self._carry(client, to_client))
        self._carried.add(task)
        task.add_done_callback(self._carried.discard)

    async def _carry(
        self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter
    ) -> None:
        self.connections += 1
        try:
            server, to_server = await self._reached()
        except OSError:
            _reset(to_client)
            return
        try:
            async with asyncio.TaskGroup() as ways:
                ways.create_task(self._pass(client, to_server, noisy=False))
                ways.create_task(self._pass(server, to_client, noisy=True))
        except* _Reset:
            _reset(to_client)
        except* (_Closed, OSError):
            pass
        finally:
            for writer in (to_client, to_server):
                writer.close()

    async def _reached(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if "/" in self._server:
            return await asyncio.open_unix_connection(self._server)
        host, _, port = self._server.rpartition(":")
        return await asyncio.open_connection(host, int(port))

    async def _pass(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        *,
        noisy: bool,
    ) -> None:
        while data := await reader.read(_CHUNK_BYTES):
            await self._flows.wait()
            writer.write(await self._weathered(data, noisy=noisy))
            with contextlib.suppress(ConnectionError):
                await writer.drain()
        raise _Closed

    async def _weathered(self, data: bytes, *, noisy: bool) -> bytes:
        weather, luck = self.weather, self._dice.random()
        seconds = weather.latency_s
        if weather.bytes_per_s is not None:
            seconds += len(data) / weather.bytes_per_s
        if seconds > 0:
            await asyncio.sleep(seconds)
        for share, strike in (
            (weather.drop, self._drop),
            (weather.reset, self._reset),
            (weather.stall, self._stall),
        ):
            if luck < share:
                self.struck += 1
                await strike()
            luck -= share
        return self._mixed_up(data) if noisy and 0 <= luck < weather.corrupt else data

    async def _drop(self) -> None:
        raise _Closed

    async def _reset(self) -> None:
        raise _Reset

    async def _stall(self) -> None:
        await asyncio.Event().wait()

    def _mixed_up(self, data: bytes) -> bytes:
        at = self._dice.randrange(len(data))
        other = data[at] ^ self._dice.randrange(1, 256)
        return data[:at] + bytes([other]) + data[at + 1 :]


class _Closed(Exception):
    """This connection is over."""


class _Reset(Exception):
    """This connection is over, and not in order."""


def _reset(writer: asyncio.StreamWriter) -> None:
    sock: socket.socket = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    writer.transport.abort()
