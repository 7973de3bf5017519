"""A server that answers every POST from memory, as fast as it comes."""

import asyncio
from collections.abc import Callable
from typing import cast

import uvloop

Answer = Callable[[bytes], bytes]
"""From the head of a request, in lower case, to all of what is answered."""

_END, _LENGTH = b"\r\n\r\n", b"content-length: "


def run(answer: Answer) -> None:
    """Serve on a free port, and print it, until killed."""
    uvloop.run(_serve(answer))


async def _serve(answer: Answer) -> None:
    server = await asyncio.get_running_loop().create_server(
        lambda: _Connection(answer), "127.0.0.1", 0, backlog=1024
    )
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


class _Connection(asyncio.Protocol):
    def __init__(self, answer: Answer) -> None:
        self._answer, self._got = answer, b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._got += data
        while (end := self._got.find(_END)) >= 0:
            head = self._got[:end].lower()
            at = head.index(_LENGTH) + len(_LENGTH)
            whole = end + len(_END) + int(head[at:].partition(b"\r\n")[0])
            if len(self._got) < whole:
                return
            self._got = self._got[whole:]
            self._transport.write(self._answer(head))
