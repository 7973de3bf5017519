"""One front-door process: `python -m service` (Procfile: web)."""

import asyncio
import errno
import gc
import os
import signal
import socket
import sys

import uvloop

from service import logs, tracing
from service.api.server import open_door
from service.boot import fit
from service.catalog_file import LiveCatalog
from service.core.errors import CatalogError
from service.hangup import on_hangup
from service.parent import watch_parent
from service.settings import ConfigurationError, Settings, load_settings


def bind(settings: Settings) -> socket.socket:
    """Take the address; port 0 takes any that is free.

    Raises:
        ConfigurationError: It cannot be had; the message says why.
    """
    where = f"{settings.host}:{settings.port}"
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        if os.name == "posix":
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((settings.host, settings.port))
        sock.listen(1024)
    except OSError as exc:
        sock.close()
        if exc.errno == errno.EADDRINUSE:
            raise ConfigurationError(
                f"{where} is taken by another process: set DARKROOM_PORT to a free one"
            ) from exc
        raise ConfigurationError(f"cannot listen on {where}: {exc.strerror}") from exc
    sock.setblocking(False)
    return sock


async def serve(settings: Settings, live: LiveCatalog, sock: socket.socket) -> None:
    """Serve until SIGTERM, SIGINT or the death of the parent; then drain.

    A second signal ends it at once. SIGHUP reads the catalog anew.

    Raises:
        ConfigurationError: Redis or the store is not fit for it.
    """
    stop, hurry = asyncio.Event(), asyncio.Event()

    def leave() -> None:
        if stop.is_set():
            hurry.set()
        stop.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, leave)
    on_hangup(reload=live.reload, leave=leave)
    with watch_parent(stop.set):
        async with (
            fit(settings, leave=stop.set),
            open_door(settings, live, sock) as door,
        ):
            await stop.wait()
            await door.drain(hurry=hurry)


def main() -> None:
    """Start, or say in one sentence why not."""
    try:
        settings = load_settings()
        live = LiveCatalog(settings.catalog_file)
        sock = bind(settings)
        settings = settings.model_copy(update={"port": sock.getsockname()[1]})
        logs.configure(settings)
        tracing.begin(settings, service="darkroom-web")
        # What is loaded by now stays; looking through it again and again costs a
        # tenth of all the work of a busy front door.
        gc.freeze()
        gc.set_threshold(20_000, 20, 50)
        uvloop.run(serve(settings, live, sock))
    except (ConfigurationError, CatalogError) as exc:
        print(f"darkroom: {exc}", file=sys.stderr)  # noqa: T201 - no log yet
        raise SystemExit(2) from None


if __name__ == "__main__":
    main()
