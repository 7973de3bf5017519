"""The children of one `up`: who is started, in which order, and how they all leave."""

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from service.catalog_file import load_catalog
from service.core.errors import CatalogError
from service.embedded import Guard, ask
from service.hangup import on_hangup
from service.parent import PARENT_FD
from service.settings import Settings
from service.up.child import Child
from service.up.first_key import FirstKey, ensure_key
from service.up.folder import CannotStart, shortage

_FLUSH_S = 25.0
"""How long Valkey may take to write its file and leave."""
_LOOK_EVERY_S = 0.05
_TRIM_EVERY_S = 30.0


@dataclass(frozen=True, slots=True)
class Ready:
    """What to tell whoever started it.

    Attributes:
        url: Where it answers on this machine.
        folder: Absolute path of the data folder.
    """

    url: str
    key: FirstKey
    folder: Path


class Family:
    """Valkey's guardian, the front door and the workers of one data folder.

    `drain_s` is the longest that front door and workers get to end by themselves.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        folder: Path,
        socket: Path,
        drain_s: float,
        say: Callable[[str], None],
    ) -> None:
        self._settings, self._folder, self._socket = settings, folder, socket
        self._drain_s, self._say = drain_s, say
        self._hurry, self._announced = asyncio.Event(), False
        self._is_full = False
        self._guardian: Child
        self._children: list[Child]
        self.redis_url = "unix://" + quote(os.fspath(socket))

    def enlist(self, binary: Path, *, lock_fd: int, port: int, workers: int) -> None:
        """Say who will be started and what each inherits; nobody is yet."""
        # Nobody closes or writes to the write ends: they end with who holds them.
        parent_read, _ = os.pipe()
        family_read, family_write = os.pipe()
        guard = Guard(
            binary=os.fspath(binary),
            folder=os.fspath(self._folder),
            socket=os.fspath(self._socket),
            parent_fd=parent_read,
            family_fd=family_read,
            lock_fd=lock_fd,
            grace_s=self._drain_s,
            strict=self._settings.durability == "strict",
        )
        env = {
            **os.environ,
            PARENT_FD: str(parent_read),
            "DARKROOM_REDIS_URL": self.redis_url,
            "DARKROOM_DATA_DIR": os.fspath(self._folder),
            "DARKROOM_PORT": str(port),
            "DARKROOM_UNSAFE": str(self._settings.unsafe).lower(),
        }

        def child(name: str, command: list[str], fds: tuple[int, ...]) -> Child:
            log = self._folder / "logs" / f"{name}.log"
            return Child(
                name,
                command,
                env=env,
                fds=fds,
                log=log,
                say=self._child_ended,
                trouble=lambda: shortage(self._folder),
            )

        python, fds = [sys.executable, "-P", "-m"], (parent_read, family_write)
        numbers = range(1, workers + 1)
        self._guardian = child("valkey", guard.command, guard.fds)
        self._children = [
            child("web", [*python, "service"], fds),
            *(child(f"worker-{n}", [*python, "workers"], fds) for n in numbers),
        ]

    async def live(self, url: str, announce: Callable[[Ready], None]) -> None:
        """Start, announce, run until told to leave, and leave nothing behind.

        Raises:
            CannotStart: A child cannot be kept alive; all others have ended too.
        """
        running = asyncio.ensure_future(self._run(url, announce))
        self._on_signals(running)
        try:
            with suppress(asyncio.CancelledError):  # that is how it is told to leave
                await running
        finally:
            await self._leave()

    async def _run(self, url: str, announce: Callable[[Ready], None]) -> None:
        self._guardian.start()
        await self._until(self._queue_answers, self._guardian)
        for child in self._children:
            child.start()
        key = await ensure_key(self._settings, self.redis_url, self._folder)
        await self._until(lambda: _is_ready(url), self._guardian, *self._children)
        announce(Ready(url, key, self._folder))
        self._announced = True
        while True:
            await asyncio.sleep(_TRIM_EVERY_S)
            for child in (self._guardian, *self._children):
                child.trim_log()
            self._mind_the_disk()

    def _mind_the_disk(self) -> None:
        """Say once that the disk is full; nobody could write that into a log."""
        full = shortage(self._folder)
        if full is not None and not self._is_full:
            self._say(full)
        self._is_full = full is not None

    def _child_ended(self, message: str) -> None:
        if self._announced:  # before that, what matters is raised
            self._say(message)

    async def _until(
        self, is_so: Callable[[], Awaitable[bool]], *needed: Child
    ) -> None:
        while not await is_so():
            for child in needed:
                if child.failed:
                    raise _hopeless(child)
            await asyncio.sleep(_LOOK_EVERY_S)

    async def _queue_answers(self) -> bool:
        # While it reads its file back it answers, but not with PONG.
        return await asyncio.to_thread(ask, self._socket, "PING") == "+PONG"

    def _on_signals(self, running: asyncio.Future[None]) -> None:
        def told() -> None:
            if not running.cancel():
                self._hurry.set()
            else:
                self._say("stopping: running jobs may finish (Ctrl-C again to hurry)")

        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            if signal.getsignal(number) is not signal.SIG_IGN:  # as in a script's `&`
                loop.add_signal_handler(number, told)
        on_hangup(reload=self._reload, leave=told)

    def _reload(self) -> None:
        """Let front door and workers read the catalog anew, where it is right."""
        try:
            load_catalog(self._settings.catalog_file)
        except CatalogError as exc:
            self._say(f"the catalog stays as it was: {exc}")
            return
        for child in self._children:
            child.pass_on(signal.SIGHUP)
        self._say("the catalog is read anew")

    async def _leave(self) -> None:
        ends = (child.end(self._drain_s, hurry=self._hurry) for child in self._children)
        await asyncio.gather(*ends)
        await self._guardian.end(_FLUSH_S, hurry=asyncio.Event())


async def _is_ready(url: str) -> bool:
    host, _, port = url.removeprefix("http://").rpartition(":")
    try:
        reader, writer = await asyncio.open_connection(host.strip("[]"), int(port))
        try:
            writer.write(b"GET /readyz HTTP/1.0\r\nHost: localhost\r\n\r\n")
            return b" 200 " in await reader.readline()
        finally:
            writer.close()
    except OSError:
        return False


def _hopeless(child: Child) -> CannotStart:
    lines = child.last_lines()
    if child.refused:
        said = lines.rpartition("\n")[2].removeprefix("darkroom: ")
        return CannotStart(said or f"{child.name} does not start")
    why = f"{child.name} does not start; the end of {child.log}:\n{lines}"
    return CannotStart("\n".join(filter(None, (why, child.trouble()))), exit_code=1)
