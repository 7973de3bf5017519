"""One process of ours, and what its neighbors need to know of it."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

_LINE_WITHIN_S = 30
_LOOK_S = 0.05


class Program:
    """One process that can be started again under the same settings."""

    def __init__(
        self,
        command: Sequence[str | Path],
        *,
        environ: Mapping[str, str],
        log: Path,
        parent_fd: int,
    ) -> None:
        self._command, self._environ, self._log = command, environ, log
        self._parent_fd = parent_fd
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", *self._command],
                env=self._environ,
                cwd=self._log.parent,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(self._parent_fd,),
            )

    @property
    def is_alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """Of the process that was started last."""
        assert self._process is not None
        return self._process.pid

    def memory_bytes(self) -> int:
        """Return what it has in memory just now."""
        command = ("ps", "-o", "rss=", "-p", str(self.pid))
        return int(subprocess.check_output(command)) * 1024

    def send(self, number: signal.Signals) -> None:
        """Send a signal, and wait for nothing."""
        os.kill(self.pid, number)

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def stop(self, *, within_s: float = 10) -> None:
        """SIGTERM; SIGKILL if it does not listen."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(within_s)
        except subprocess.TimeoutExpired:
            self.kill()


def first_line(log: Path) -> str:
    """Return the first line of a log, once there is one; blocks.

    Raises:
        TimeoutError: Nothing was written for too long.
    """
    deadline = time.monotonic() + _LINE_WITHIN_S
    while time.monotonic() < deadline:
        line, end, _ = log.read_text().partition("\n")
        if end:
            return line
        time.sleep(_LOOK_S)
    raise TimeoutError(f"nothing in {log}")


@contextlib.contextmanager
def reserved_port() -> Iterator[int]:
    """Hold a port that nobody else is given while its front door is away."""
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(("127.0.0.1", 0))
        yield sock.getsockname()[1]


def programs(
    stack: contextlib.AsyncExitStack, folder: Path, environ: Mapping[str, str]
) -> Callable[..., Program]:
    """Return what makes processes that end with `stack`, and with this one."""
    read_end, write_end = os.pipe()
    stack.callback(os.close, read_end)
    stack.callback(os.close, write_end)

    def program(name: str, *command: str | Path, **variables: str) -> Program:
        made = Program(
            command,
            environ={**environ, "DARKROOM_PARENT_FD": str(read_end), **variables},
            log=folder / f"{name}.log",
            parent_fd=read_end,
        )
        stack.callback(made.kill)
        return made

    return program
