"""The result folder of a batch: what is finished, and whose folder it is.

    manifest.jsonl   one line for each finished prompt, added as it finishes
    .batch.json      which file and options they came from; locked while one runs

A run that is killed may leave half a line at the end, which the next run drops. A
prompt that failed and is tried again gets a second line; the last one counts, and
the earlier ones are removed when the run ends.
"""

import errno
import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from service.cli.failure import Failure

_MANIFEST = "manifest.jsonl"
_IDENTITY = ".batch.json"
DOWNLOAD_FAILED = "download_failed"
"""Code of an image that was made and did not arrive; it need not be made again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What became of one prompt; a line of the manifest.

    Attributes:
        line: Where the prompt stands in the file.
        job_id: None: no job was made of it.
        status: The final state of its job, or `failed`.
        images: `file`, `sha256`, `width`, `height`, `content_type` of each.
        error: `{"code", "message"}`; beside images when some could not be made.
        attempt: How often the prompt was submitted anew, this time included.
    """

    line: int
    prompt: str
    job_id: str | None
    status: str
    images: list[dict[str, Any]]
    error: dict[str, Any] | None
    attempt: int = 1

    @property
    def succeeded(self) -> bool:
        """Whether its images are there."""
        return self.status == "succeeded"

    @property
    def next_attempt(self) -> int:
        """Under which number to submit it again.

        A job that has ended would only be joined again; one whose images are merely
        not here, or that was never made, is what we want to join.
        """
        code = (self.error or {}).get("code")
        if self.succeeded or self.job_id is None or code == DOWNLOAD_FAILED:
            return self.attempt
        return self.attempt + 1

    def to_json(self) -> bytes:
        """Return the line, non-ASCII text as it is."""
        return json.dumps(asdict(self), ensure_ascii=False).encode() + b"\n"


class Manifest:
    """The manifest of one folder, held by one run; see `opened`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / _MANIFEST
        self._lines_on_disk = 0
        with _writing(self.path):
            self.entries = {entry.line: entry for entry in self._read()}
            if self._lines_on_disk:
                self._rewrite()  # without what was torn or superseded
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
            self._fd = os.open(self.path, flags, 0o666)

    @classmethod
    @contextmanager
    def opened(cls, folder: Path, identity: dict[str, Any]) -> Iterator[Self]:
        """Hold the folder, which is made if need be.

        Raises:
            Failure: It cannot be written to, another run holds it, or its results
                came from another file or other options.
        """
        with _writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
            lock = os.open(folder / _IDENTITY, flags, 0o666)
        try:
            _hold(lock, folder)
            manifest = cls(folder)
            _identify(lock, identity, manifest)
            try:
                yield manifest
            finally:
                manifest.close()
        finally:
            os.close(lock)

    def add(self, entry: Entry) -> None:
        """Append one line, in one write.

        Raises:
            Failure: The disk takes no more.
        """
        data = entry.to_json()
        with _writing(self.path):
            if os.write(self._fd, data) < len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._lines_on_disk += 1
        self.entries[entry.line] = entry

    def is_done(self, line: int) -> bool:
        """Whether the prompt of that line has its images, and they are still here."""
        entry = self.entries.get(line)
        if entry is None or not entry.succeeded:
            return False
        return all((self.folder / image["file"]).is_file() for image in entry.images)

    def attempt(self, line: int) -> int:
        """Return under which number the prompt of that line is submitted now."""
        entry = self.entries.get(line)
        return 1 if entry is None else entry.next_attempt

    def close(self) -> None:
        """Let go of it, after removing superseded lines."""
        os.close(self._fd)
        if self._lines_on_disk > len(self.entries):
            with _writing(self.path):
                self._rewrite()

    def _read(self) -> Iterator[Entry]:
        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            return
        for line in content.split(b"\n"):
            self._lines_on_disk += bool(line)
            try:
                yield Entry(**json.loads(line))
            except (ValueError, TypeError):
                continue  # torn by a kill; its job is joined again

    def _rewrite(self) -> None:
        part = self.path.with_name(f".{_MANIFEST}.part")
        with part.open("wb") as file:
            for entry in self.entries.values():
                file.write(entry.to_json())
            file.flush()
            os.fsync(file.fileno())
        part.replace(self.path)
        self._lines_on_disk = len(self.entries)


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        raise Failure(f"cannot write {path}: {exc.strerror}") from exc


def _hold(lock: int, folder: Path) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as exc:
        raise Failure(f"another batch is being written to {folder}") from exc


def _identify(lock: int, identity: dict[str, Any], manifest: Manifest) -> None:
    try:
        stored = json.loads(os.pread(lock, 65_536, 0))
    except ValueError:
        stored = None
    if manifest.entries and stored != identity:
        raise Failure(
            f"{manifest.folder} holds the results of another file or of other "
            "options: name another folder with --out",
            exit_code=2,
        )
    if stored != identity:
        os.ftruncate(lock, 0)
        os.pwrite(lock, json.dumps(identity, ensure_ascii=False).encode(), 0)
