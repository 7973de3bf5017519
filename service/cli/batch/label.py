"""What a result folder is of; only who holds its label may write there."""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from service.cli.failure import Failure

_NAME = ".batch.json"


class Label:
    """One JSON object in a file that is locked while a run writes to the folder."""

    def __init__(self, path: Path, file: int) -> None:
        self._path, self._file = path, file

    @classmethod
    @contextmanager
    def held(cls, folder: Path) -> Iterator[Self]:
        """Hold the folder, which is made if need be.

        Raises:
            Failure: It cannot be written to, or another run holds it.
        """
        path = folder / _NAME
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
            file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            _lock(file, folder)
            yield cls(path, file)
        finally:
            os.close(file)

    def read(self) -> dict[str, Any]:
        """Return what stands there; nothing, if that is no object."""
        size = os.fstat(self._file).st_size
        # A kill may have left the end of a longer line behind the one that counts.
        line, _, _ = os.pread(self._file, size, 0).partition(b"\n")
        try:
            stored = json.loads(line)
        except ValueError:
            return {}
        return stored if isinstance(stored, dict) else {}

    def write(self, value: dict[str, Any]) -> None:
        """Put `value` there.

        Raises:
            Failure: The disk takes no more.
        """
        line = json.dumps(value, ensure_ascii=False).encode() + b"\n"
        with writing(self._path):
            os.pwrite(self._file, line, 0)
            os.ftruncate(self._file, len(line))


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Tell what the disk says in one sentence.

    Raises:
        Failure: It does not do what is asked of it.
    """
    try:
        yield
    except OSError as exc:
        raise Failure(f"cannot write {path}: {exc.strerror}") from exc


def _lock(file: int, folder: Path) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as exc:
        raise Failure(f"another batch is being written to {folder}") from exc
