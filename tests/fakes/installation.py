"""One `darkroom up` of a test's own: started, asked, killed, and its family watched."""

import fcntl
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

DARKROOM = Path(sys.executable).with_name("darkroom")


class Installation:
    """A data folder with at most one `up` on it.

    Attributes:
        cwd: Where commands are run, as a newcomer would; holds `.darkroom`.
        said: What the running `up` announced.
    """

    def __init__(self, cwd: Path, **env: str) -> None:
        self.cwd, self.folder = cwd, cwd / ".darkroom"
        self.said: dict[str, Any] = {}
        clean = {k: v for k, v in os.environ.items() if not k.startswith("DARKROOM_")}
        self._env = clean | env
        self._up: subprocess.Popen[str] | None = None
        self._family: set[int] = set()

    def up(self, *options: str) -> None:
        """Start it and wait until it says that it is ready."""
        with (self.cwd / "stderr.txt").open("a") as errors:
            self._up = subprocess.Popen(
                [DARKROOM, "up", "--port", "0", "--json", *options],
                cwd=self.cwd,
                env=self._env,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        assert self._up.stdout is not None
        line = self._up.stdout.readline()
        assert line, (self.cwd / "stderr.txt").read_text()
        self.said = json.loads(line)
        self._family = descendants(self._up.pid, living())

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a `darkroom` command there, to its end."""
        return subprocess.run(
            [DARKROOM, *command],
            cwd=self.cwd,
            env=self._env,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )

    def answer(self, *command: str) -> Any:
        """Run a command that must succeed; return the JSON it prints."""
        ran = self.run(*command, "--json")
        assert ran.returncode == 0, ran.stderr
        return json.loads(ran.stdout)

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send the signal, wait for the whole family, and return the exit code."""
        self.signal(number)
        assert self._up is not None
        code = self._up.wait()
        assert self._up.stdout is not None
        self._up.stdout.close()
        self._up = None
        # Whoever is left holds the folder's lock; the kernel wakes us at the end.
        with (self.folder / "up.lock").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
        return code

    def signal(self, number: signal.Signals) -> None:
        """Send the signal to `up` alone."""
        assert self._up is not None
        self._family |= descendants(self._up.pid, living())
        self._up.send_signal(number)

    def left_over(self) -> set[int]:
        """Return which processes of the last `up` are alive."""
        return self._family & set(living())

    def pids_of(self, words: str) -> list[int]:
        """Return the processes of the family whose command line matches."""
        assert self._up is not None
        table = living()
        family = descendants(self._up.pid, table)
        self._family |= family
        return sorted(pid for pid in family if re.search(words, table[pid][1]))

    @contextmanager
    def started(self, *command: str) -> Iterator[subprocess.Popen[str]]:
        """Start a `darkroom` command there, and kill it at the end."""
        process = subprocess.Popen(
            [DARKROOM, *command],
            cwd=self.cwd,
            env=self._env,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        try:
            yield process
        finally:
            process.kill()
            process.wait()

    def close(self) -> None:
        if self._up is not None:
            self.end(signal.SIGKILL)


def living() -> dict[int, tuple[int, str]]:
    """Return parent and command line of every process that is no zombie."""
    listed = subprocess.run(
        ["ps", "-axww", "-o", "pid=,ppid=,stat=,args="],
        capture_output=True,
        text=True,
        check=True,
    )
    rows = (line.split(None, 3) for line in listed.stdout.splitlines())
    return {
        int(pid): (int(ppid), args)
        for pid, ppid, state, args in (row for row in rows if len(row) == 4)
        if not state.startswith("Z")
    }


def descendants(pid: int, table: dict[int, tuple[int, str]]) -> set[int]:
    """Return the process and all it started, and what those started."""
    found = {pid}
    while more := {p for p, (parent, _) in table.items() if parent in found} - found:
        found |= more
    return found
