"""The Valkey of `darkroom up`, with its guardian and nobody else, to be killed."""

import contextlib
import os
import signal
import subprocess
import time
from pathlib import Path

from redis import Redis
from redis.exceptions import RedisError

from service.embedded import Guard, find_binary


class Guarded:
    """One server after the other on a folder; each is reached by the same URL."""

    def __init__(self, folder: Path, *, strict: bool) -> None:
        self._socket = folder / "valkey.sock"
        self.url = f"unix://{self._socket}"
        self._pipe = os.pipe()  # the guardian ends with it, and so does the server
        held = self._pipe[0]
        self._guard = Guard(
            binary=str(find_binary()),
            folder=str(folder),
            socket=str(self._socket),
            parent_fd=held,
            family_fd=held,
            lock_fd=held,
            grace_s=0,
            strict=strict,
        )
        self._guardian: subprocess.Popen[bytes] | None = None
        self._pid = 0

    def start(self) -> None:
        """Start one, and return when it has read its file."""
        self._guardian = subprocess.Popen(
            self._guard.command,
            pass_fds=self._guard.fds,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        with Redis(unix_socket_path=str(self._socket)) as redis:
            while not self._pid:
                with contextlib.suppress(RedisError, OSError):
                    redis.ping()  # it answers INFO before it has read its file
                    self._pid = redis.info("server")["process_id"]
                time.sleep(0.01)

    def kill(self) -> None:
        """Kill the server itself; the guardian sees it and ends."""
        if self._pid:
            os.kill(self._pid, signal.SIGKILL)
            self._pid = 0
        if self._guardian is not None:
            self._guardian.wait()

    def close(self) -> None:
        """End whatever runs."""
        self.kill()
        for end in self._pipe:
            os.close(end)
