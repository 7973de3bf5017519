"""The result folder of a batch: what is finished, and whose folder it is.

    manifest.jsonl   one line for each finished prompt, added as it finishes
    .batch.json      which file and options they came from, and the batch that was
                     made of it last; locked while a run writes here

Lines of one batch are added in the order in which the front door tells its results, so
that their number says where to go on. A run that is killed may leave half a line at
the end, which the next run drops. A prompt that is tried again gets a second line; the
last one counts, and the earlier ones are removed when the run ends.
"""

import errno
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from service.cli.batch.entries import Entry, Sent
from service.cli.batch.label import Label, writing
from service.cli.failure import Failure

_MANIFEST = "manifest.jsonl"


class Manifest:
    """The manifest of one folder, held by one run; see `opened`.

    Attributes:
        entries: By line; of several the last.
        sent: The batch that was made last; None: there was none.
    """

    def __init__(self, folder: Path, label: Label, identity: dict[str, Any]) -> None:
        self.folder = folder
        self.path = folder / _MANIFEST
        self._label, self._identity, self._lines_on_disk = label, identity, 0
        with writing(self.path):
            self.entries = {entry.line: entry for entry in self._read()}
            self.sent = self._identify(identity)
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
        with Label.held(folder) as label:
            manifest = cls(folder, label, identity)
            try:
                yield manifest
            finally:
                manifest.close()

    def add(self, entry: Entry) -> None:
        """Append one line, in one write.

        Raises:
            Failure: The disk takes no more.
        """
        data = entry.to_json()
        with writing(self.path):
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

    def is_entered(self, line: int, batch: str) -> bool:
        """Whether it is known what became of that line in a batch."""
        entry = self.entries.get(line)
        return entry is not None and entry.batch == batch

    def taken(self, batch: str) -> int:
        """Return how many results of a batch are here: the first so many."""
        return sum(entry.batch == batch for entry in self.entries.values())

    def remember(self, sent: Sent) -> None:
        """Write down which batch was made of which lines.

        Raises:
            Failure: The disk takes no more.
        """
        self.sent = sent
        self._label.write({**self._identity, "sent": sent._asdict()})

    def close(self) -> None:
        """Let go of it, after removing superseded lines."""
        os.close(self._fd)
        if self._lines_on_disk > len(self.entries):
            with writing(self.path):
                self._rewrite()

    def _read(self) -> Iterator[Entry]:
        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            return
        for line in content.split(b"\n"):
            self._lines_on_disk += bool(line)
            try:
                yield Entry.of(json.loads(line))
            except (ValueError, TypeError, AttributeError):
                continue  # torn by a kill; its result is told again

    def _identify(self, identity: dict[str, Any]) -> Sent | None:
        """Return what was sent of the same; refuse what came of something else."""
        stored = self._label.read()
        sent = stored.pop("sent", None)
        if stored == identity:
            return Sent(**sent) if sent else None
        if self.entries:
            raise Failure(
                f"{self.folder} holds the results of another file or of other "
                "options: name another folder with --out",
                exit_code=2,
            )
        self._label.write(identity)
        return None

    def _rewrite(self) -> None:
        part = self.path.with_name(f".{_MANIFEST}.part")
        with part.open("wb") as file:
            for entry in self.entries.values():
                file.write(entry.to_json())
            file.flush()
            os.fsync(file.fileno())
        part.replace(self.path)
        self._lines_on_disk = len(self.entries)
