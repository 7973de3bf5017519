"""A proxy before Valkey that stops the world beside one step.

Before it: Redis has heard nothing. Behind it: Redis has taken the step and written it
down, and nobody has been told. Whoever stands there may be killed at leisure.
"""

import asyncio
import contextlib
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Self

_CHUNK_BYTES = 1 << 20
_FORGOTTEN = b"-NOSCRIPT"
"""Not a step yet: the same comes again as a whole."""


class Brink:
    """Listens on a socket of its own while the context is open.

    Args:
        socket: Valkey's.

    Attributes:
        url: Where to come instead.
        reached: Set once the world stands still.
    """

    def __init__(self, socket: Path) -> None:
        self._valkey = socket
        self._folder = tempfile.TemporaryDirectory(prefix="brink-")
        self._socket = Path(self._folder.name) / "brink.sock"
        self.url = f"unix://{self._socket}"
        self.reached = asyncio.Event()
        self._moves = asyncio.Event()
        self._moves.set()
        self._is_here: Callable[[bytes], bool] | None = None
        self._is_behind = False
        self._open = set[asyncio.StreamWriter]()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_unix_server(
            self._serve, self._socket, limit=_CHUNK_BYTES
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        self.go_on()
        await self._server.wait_closed()
        self._folder.cleanup()

    def stop(self, *, at: Callable[[bytes], bool], behind: bool) -> None:
        """Stop the world beside the first message for which `at` is true."""
        self.reached.clear()
        self._is_here, self._is_behind = at, behind

    def go_on(self) -> None:
        """Hang up on all who came, as if they had died; serve whoever comes next."""
        self._is_here = None
        for writer in self._open:
            writer.transport.abort()
        self._moves.set()

    async def _serve(
        self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter
    ) -> None:
        valkey, to_valkey = await asyncio.open_unix_connection(
            self._valkey, limit=_CHUNK_BYTES
        )
        self._open |= {to_client, to_valkey}
        watched = asyncio.Event()
        there = asyncio.create_task(self._ask(client, to_valkey, watched))
        back = asyncio.create_task(self._answer(valkey, to_client, watched))
        try:
            await asyncio.wait({there, back}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (there, back):
                task.cancel()
            for writer in (to_client, to_valkey):
                writer.transport.abort()
                self._open.discard(writer)

    async def _ask(
        self,
        client: asyncio.StreamReader,
        to_valkey: asyncio.StreamWriter,
        watched: asyncio.Event,
    ) -> None:
        with contextlib.suppress(ConnectionError):
            while message := await client.read(_CHUNK_BYTES):
                await self._moves.wait()
                if self._is_here is not None and self._is_here(message):
                    if not self._is_behind:
                        self._stand_still()
                        await self._moves.wait()
                    watched.set()
                to_valkey.write(message)
                await to_valkey.drain()

    async def _answer(
        self,
        valkey: asyncio.StreamReader,
        to_client: asyncio.StreamWriter,
        watched: asyncio.Event,
    ) -> None:
        with contextlib.suppress(ConnectionError):
            while message := await valkey.read(_CHUNK_BYTES):
                if watched.is_set() and not message.startswith(_FORGOTTEN):
                    self._stand_still()
                watched.clear()
                await self._moves.wait()
                to_client.write(message)
                await to_client.drain()

    def _stand_still(self) -> None:
        self._moves.clear()
        self.reached.set()
