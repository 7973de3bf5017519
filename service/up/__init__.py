"""Everything on one machine: embedded Valkey, front door and workers, supervised.

    up ---- guardian -- valkey-server
        |-- front door
        `-- worker, worker, ...

Front door and workers watch a pipe that `up` holds, and drain when it ends; the
guardian watches that one and a second pipe that only ends when they have drained.
So nothing is left behind however `up` dies, and the queue always goes last.
"""

import asyncio
import os
import shutil
from collections.abc import Callable

from service.embedded import EmbeddedError, find_binary, socket_path
from service.settings import Settings
from service.up.address import local_url, reserve
from service.up.family import Family, Ready
from service.up.folder import CannotStart, Runtime, held, prepare

__all__ = ["CannotStart", "Ready", "up"]

_LEEWAY_S = 15.0
"""Beyond what a process may take to drain, before it is killed."""


def up(
    settings: Settings,
    *,
    workers: int,
    say: Callable[[str], None],
    announce: Callable[[Ready], None],
) -> None:
    """Start everything, announce it, and run until SIGINT or SIGTERM.

    SIGHUP lets front door and workers read the catalog anew; that of a terminal that
    is gone ends everything.

    Args:
        settings: Its data folder, host and port are used; its Redis is not.
        workers: How many worker processes, at least 1.
        say: Takes one message for the person at the terminal.
        announce: Called once, when everything is ready.

    Raises:
        CannotStart: With a sentence that says what to do.
        ConfigurationError: The preset key is none that a client could send.
        QueueUnavailable: Valkey went away during the start.
    """
    drain_s = max(settings.drain_s, settings.worker.drain_s) + _LEEWAY_S
    os.umask(0o077)  # prompts and images are nobody else's, whoever made the folder
    folder = prepare(settings.data_dir)
    with held(folder, patience_s=2 * drain_s, say=say) as lock:
        port = reserve(settings.host, settings.port)
        try:
            binary, socket = find_binary(), socket_path(folder)
        except EmbeddedError as exc:
            raise CannotStart(str(exc)) from exc
        try:
            family = Family(
                settings, folder=folder, socket=socket, drain_s=drain_s, say=say
            )
            family.enlist(binary, lock_fd=lock.fd, port=port, workers=workers)
            url = local_url(settings.host, port)
            lock.tell(Runtime(os.getpid(), url, family.redis_url))
            asyncio.run(family.live(url, announce))
        finally:
            if socket.parent != folder:
                shutil.rmtree(socket.parent, ignore_errors=True)
