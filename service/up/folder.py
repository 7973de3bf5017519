"""The data folder: who holds it, and what other commands find there.

up.lock       held by `up` and, after its death, by what still drains; names
              the process and where it answers
client-key    the first API key, for commands on this machine; mode 0600
logs/         what Valkey, front door and workers print
valkey.sock, appendonlydir/, images/, signing.key
"""

import errno
import fcntl
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

_LOCK = "up.lock"
_KEY = "client-key"
_LEAST_FREE_BYTES = 64 * 2**20


class CannotStart(Exception):
    """`up` cannot start; the message is a sentence with a way out.

    Attributes:
        exit_code: 2 when the caller has to change something, else 1.
    """

    def __init__(self, message: str, *, exit_code: int = 2) -> None:
        super().__init__(message)
        self.exit_code = exit_code


@dataclass(frozen=True, slots=True)
class Runtime:
    """A running `up`, as its lock file names it; empty while it starts."""

    pid: int
    url: str = ""
    redis_url: str = ""


def prepare(folder: Path) -> Path:
    """Make the folder if need be; return its absolute path.

    Raises:
        CannotStart: It cannot be written to, or its disk is full.
    """
    try:
        folder = folder.expanduser().absolute()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        (folder / "logs").mkdir(exist_ok=True)
        (folder / _LOCK).touch(mode=0o600)
    except OSError as exc:
        raise _refused(folder, exc) from exc
    full = shortage(folder)
    if full is not None:
        raise CannotStart(full)
    return folder


def shortage(folder: Path) -> str | None:
    """Return what to do about a disk that is full, or soon will be; None: nothing."""
    try:
        free = shutil.disk_usage(folder).free
    except OSError:  # nobody can tell
        return None
    if free >= _LEAST_FREE_BYTES:
        return None
    return (
        f"the disk of {folder} is full ({free // 2**20} MB free, at least "
        f"{_LEAST_FREE_BYTES // 2**20} are needed): make room, or name a folder "
        "elsewhere with --data-dir"
    )


class Lock:
    """The held lock of a data folder."""

    def __init__(self, fd: int) -> None:
        self.fd = fd

    def tell(self, runtime: Runtime | None) -> None:
        """Say who holds it; None: nobody any more."""
        os.ftruncate(self.fd, 0)
        if runtime is not None:
            os.pwrite(self.fd, json.dumps(asdict(runtime)).encode(), 0)


@contextmanager
def held(
    folder: Path, *, patience_s: float, say: Callable[[str], None]
) -> Iterator[Lock]:
    """Hold the folder, after what an `up` that was killed left behind has drained.

    Raises:
        CannotStart: Another `up` holds it, or the left-overs never ended.
    """
    fd = os.open(folder / _LOCK, os.O_RDWR | os.O_CLOEXEC)
    try:
        _acquire(fd, folder, patience_s, say)
        lock = Lock(fd)
        lock.tell(Runtime(os.getpid()))
        try:
            yield lock
        finally:
            lock.tell(None)
    finally:
        os.close(fd)


def _acquire(
    fd: int, folder: Path, patience_s: float, say: Callable[[str], None]
) -> None:
    deadline, told = time.monotonic() + patience_s, False
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = read_runtime(folder)
        else:
            return
        if holder is not None and _is_alive(holder.pid):
            where = f" at {holder.url}" if holder.url else ""
            raise CannotStart(f"already running{where} (pid {holder.pid})", exit_code=1)
        if time.monotonic() > deadline:
            raise CannotStart(
                f"processes of an earlier start still use {folder} and do not end: "
                f"`fuser {folder / _LOCK}` names them",
                exit_code=1,
            )
        if not told:
            say("an earlier start was killed; waiting for its processes to end")
            told = True
        time.sleep(0.1)


def read_runtime(folder: Path) -> Runtime | None:
    """Return who said last that it runs on the folder; it may have been killed."""
    try:
        return Runtime(**json.loads((folder / _LOCK).read_bytes()))
    except (OSError, ValueError, TypeError):
        return None


def read_key(folder: Path) -> str | None:
    """Return the API key kept for commands on this machine, if there is one."""
    try:
        return (folder / _KEY).read_text(encoding="ascii").strip() or None
    except (OSError, ValueError):
        return None


def key_file(folder: Path) -> Path:
    """Return where that key lies."""
    return folder / _KEY


def write_key(folder: Path, secret: str) -> None:
    """Keep the API key for commands on this machine, readable by its owner only.

    Raises:
        CannotStart: It cannot be written.
    """
    draft = folder / f".{_KEY}.new"
    try:
        draft.unlink(missing_ok=True)
        fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(fd, "w") as file:
            file.write(secret + "\n")
        draft.replace(folder / _KEY)
    except OSError as exc:
        raise _refused(folder, exc) from exc


def _refused(folder: Path, exc: OSError) -> CannotStart:
    if exc.errno in {errno.ENOSPC, errno.EDQUOT}:
        return CannotStart(
            f"the disk of {folder} is full: make room, or name a folder elsewhere "
            "with --data-dir"
        )
    return CannotStart(
        f"cannot write to the data folder {folder}: {exc.strerror}: make it writable, "
        "or name another one with --data-dir"
    )


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
