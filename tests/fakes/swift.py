"""A real object store of the tests' own, which checks signatures and their expiry.

OpenStack Swift with its S3 API, from Debian's `python3-swift`; it is up within two
seconds and needs neither root nor memcached nor fixed ports.
"""

import os
import subprocess
import tempfile
from pathlib import Path
from typing import Self

PYTHON = "/usr/bin/python3"
REGION = "us-east-1"
ACCESS_KEY_ID = "test:tester"
SECRET_ACCESS_KEY = "testing"
_SERVER = Path(__file__).with_name("swift_server.py")
_PACKAGE = Path("/usr/lib/python3/dist-packages/swift/proxy/server.py")


def is_installed() -> bool:
    return _PACKAGE.exists()


class Swift:
    """One server; its data lies in a folder that goes with it."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="swift-", dir=_with_xattrs())
        self._process: subprocess.Popen[str] | None = None
        self.url = ""

    def start(self) -> Self:
        self._process = subprocess.Popen(
            [PYTHON, "-I", "-B", _SERVER, self._folder.name, REGION],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        port = self._process.stdout.readline().strip()
        assert port, "Swift did not start; its reason stands above"
        self.url = f"http://127.0.0.1:{port}"
        return self

    def close(self) -> None:
        if self._process is not None:
            self._process.communicate()  # ends its input, upon which it stops
        self._folder.cleanup()


def _with_xattrs() -> Path:
    """Return a folder for temporary files where files may have attributes."""
    for folder in (Path(tempfile.gettempdir()), Path("/var/tmp"), Path.cwd()):
        with tempfile.NamedTemporaryFile(dir=folder) as file:
            try:
                os.setxattr(file.name, "user.swift", b"x" * 1000)
            except OSError:
                continue
            return folder
    raise RuntimeError("Swift needs a filesystem with extended attributes")
