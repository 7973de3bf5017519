"""Files under one folder, named by keys; every call blocks and may be in a thread.

A file is written whole under `.parts`, made durable and only then renamed, so that
a key names all of its bytes or nothing. Folders left empty are removed, which may
cross the way of a writer in another process: the writer makes them again.
"""

import errno
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import BinaryIO, NamedTuple, TypeVar

from service.core.errors import StoreUnavailable
from service.image_store.keys import is_key

_RACES = 20
_NOT_THERE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP})
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_DENIED = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})

_HEAD_BYTES = 12
_T = TypeVar("_T")


class Look(NamedTuple):
    """A file, unread.

    Attributes:
        head: Its first bytes, which tell its content type.
        version: Another one whenever the file is written anew.
    """

    size_bytes: int
    head: bytes
    version: str


class Folder:
    """The folder and all that lies in it; it is made when first written to."""

    def __init__(self, root: Path) -> None:
        self._root = root.absolute()
        self._parts = self._root / ".parts"

    def write(self, key: str, data: bytes) -> None:
        """Put `data` under `key`, whole and on the disk; again replaces it.

        Raises:
            StoreUnavailable: Nothing was changed; says why and what to do.
        """
        with self._faults_named():
            path = self._inside(key)
            if path is None:
                raise StoreUnavailable(f"a link leads {key} out of {self._root}")
            self._parts.mkdir(parents=True, exist_ok=True)
            descriptor, part = tempfile.mkstemp(dir=self._parts)
            try:
                with os.fdopen(descriptor, "wb") as file:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
                _place(Path(part), path)
            except BaseException:
                Path(part).unlink(missing_ok=True)
                raise

    def read(self, key: str) -> bytes | None:
        """Return the bytes under `key`; None when no file of ours has that name.

        Raises:
            StoreUnavailable: It is there and cannot be read.
        """
        return self._opened(key, lambda file: file.read())

    def look(self, key: str) -> Look | None:
        """Return what is under `key` without reading it whole; None as in `read`.

        Raises:
            StoreUnavailable: It is there and cannot be read.
        """
        return self._opened(key, _look)

    def delete(self, key: str) -> None:
        """Remove `key` and the folders it leaves empty; absent is fine.

        Raises:
            StoreUnavailable: It may still be there.
        """
        with self._faults_named():
            path = self._inside(key)
            if path is None:
                return
            try:
                path.unlink()
            except OSError as exc:
                if exc.errno not in _NOT_THERE:
                    raise
            with suppress(OSError):
                for folder in path.parents[: len(Path(key).parents) - 1]:
                    folder.rmdir()

    def keys(self, prefix: str) -> list[str]:
        """Return the keys that begin with `prefix`, sorted.

        Raises:
            StoreUnavailable: A folder cannot be read.
        """
        start = self._root / prefix.rpartition("/")[0]
        with self._faults_named():
            return sorted(key for key in self._walk(start) if key.startswith(prefix))

    def discard_parts(self, *, older_than: timedelta) -> None:
        """Remove what writers that were killed have left half written."""
        limit = time.time() - older_than.total_seconds()
        with suppress(OSError):
            for part in self._parts.iterdir():
                if part.stat().st_mtime < limit:
                    part.unlink(missing_ok=True)

    def _opened(self, key: str, use: Callable[[BinaryIO], _T]) -> _T | None:
        with self._faults_named():
            path = self._inside(key)
            if path is None:
                return None
            try:
                with open(path, "rb", opener=_open_no_link) as file:
                    return use(file)
            except OSError as exc:
                if exc.errno in _NOT_THERE:
                    return None
                raise

    def _inside(self, key: str) -> Path | None:
        """Return the path of `key`; None when it is no key or leads elsewhere."""
        if not is_key(key):
            return None
        path = self._root / key
        if not path.parent.resolve().is_relative_to(self._root.resolve()):
            return None
        return path

    def _walk(self, start: Path) -> Iterator[str]:
        for folder, _, names in os.walk(start, onerror=_raise_unless_gone):
            for name in names:
                key = Path(folder, name).relative_to(self._root).as_posix()
                if is_key(key):
                    yield key

    @contextmanager
    def _faults_named(self) -> Iterator[None]:
        try:
            yield
        except OSError as exc:
            raise StoreUnavailable(fault(exc, self._root)) from exc


def fault(exc: OSError, root: Path) -> str:
    """Say in one sentence what is wrong with the folder and what to do."""
    if exc.errno in _FULL:
        return (
            f"the disk that holds {root} is full: free some space or set "
            "DARKROOM_DATA_DIR to a larger one"
        )
    if exc.errno in _DENIED:
        return (
            f"no permission to write or read in {root}: give it to the user that "
            "this process runs as, or set DARKROOM_DATA_DIR"
        )
    return f"the image folder {root} failed: {exc.strerror or exc}"


def _place(part: Path, path: Path) -> None:
    for race in range(_RACES):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            part.replace(path)
            break
        except (FileNotFoundError, FileExistsError):  # an empty folder just went
            if race == _RACES - 1:
                raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _look(file: BinaryIO) -> Look:
    status = os.fstat(file.fileno())
    version = f"{status.st_ino:x}-{status.st_mtime_ns:x}"
    return Look(status.st_size, file.read(_HEAD_BYTES), version)


def _open_no_link(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC)


def _raise_unless_gone(exc: OSError) -> None:
    if exc.errno not in _NOT_THERE:
        raise exc
