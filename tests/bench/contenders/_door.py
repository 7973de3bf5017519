"""What the front doors have in common: the key they are asked with, and a port."""

import asyncio
import socket

import uvloop
from aiohttp import web

KEY = "bench-0123456789abcdef0123456789abcdef"


def run(app: web.Application) -> None:
    """Serve on a free port, and print it, until killed."""
    uvloop.run(_serve(app))


async def _serve(app: web.Application) -> None:
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    sock = socket.create_server(("127.0.0.1", 0))
    await web.SockSite(runner, sock, backlog=1024).start()
    print(sock.getsockname()[1], flush=True)
    await asyncio.Event().wait()
