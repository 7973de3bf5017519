"""Servers and processes of one measurement; nothing of it outlives the `with`."""

import contextlib
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from redis import Redis

from tests.bench.peers import ROOT
from tests.fakes.valkey import Valkey

_PATIENCE_S = 120.0


class Failed(Exception):
    """A contender gave up or hangs; what it said last is the message."""


@contextlib.contextmanager
def valkey() -> Iterator[Valkey]:
    """Start an empty server that keeps what it is given as most do: AOF, everysec."""
    server = Valkey(appendfsync="everysec").start()
    try:
        yield server
    finally:
        server.close()


class Process:
    """A contender at work."""

    def __init__(self, popen: "subprocess.Popen[str]", said: Path) -> None:
        self._popen, self._said = popen, said

    @property
    def pid(self) -> int:
        return self._popen.pid

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Let it stand still meanwhile."""
        self.send(signal.SIGSTOP)
        yield
        self.send(signal.SIGCONT)

    def send(self, number: signal.Signals) -> None:
        self._popen.send_signal(number)

    def line(self) -> str:
        """Return the next line of its output."""
        assert self._popen.stdout is not None
        if line := self._popen.stdout.readline():
            return line.strip()
        self._popen.wait()
        raise Failed(self.said()[-2000:])

    def said(self) -> str:
        """Return what it has written to stderr so far."""
        return self._said.read_text()

    def wait_until(self, reached: Callable[[], bool], *, every_s: float) -> None:
        """Ask again and again, while it lives.

        Raises:
            Failed: It died, or takes longer than two minutes.
        """
        end = time.monotonic() + _PATIENCE_S
        while not reached():
            if self._popen.poll() is not None or time.monotonic() > end:
                raise Failed(self.said()[-2000:])
            time.sleep(every_s)

    def wait(self) -> None:
        """Wait until it has done what it was started for."""
        if self._popen.wait(timeout=_PATIENCE_S) != 0:
            raise Failed(self.said()[-2000:])


@contextlib.contextmanager
def process(python: Path, module: str, *args: str, **env: str) -> Iterator[Process]:
    """Run a module with that Python, and kill it in the end."""
    with program(python, "-m", module, *args, **env) as running:
        yield running


@contextlib.contextmanager
def program(*words: Path | str, **env: str) -> Iterator[Process]:
    """Run a program, and kill it in the end with all that it has started."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith("DARKROOM_")}
    clean.pop("PYTHONDONTWRITEBYTECODE", None)
    with tempfile.NamedTemporaryFile("w") as said:
        popen = subprocess.Popen(
            words,
            cwd=ROOT,
            env={**clean, **env},
            stdout=subprocess.PIPE,
            stderr=said,
            text=True,
            start_new_session=True,
        )
        with popen:
            try:
                yield Process(popen, Path(said.name))
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(popen.pid, signal.SIGKILL)


def valkey_version() -> str:
    """Return the version of the server that `valkey` starts."""
    with valkey() as server, Redis(unix_socket_path=str(server.socket)) as redis:
        return str(redis.info("server")["valkey_version"])
