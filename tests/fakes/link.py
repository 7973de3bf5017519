"""A TCP link to a server on loopback that can be made to hold what passes."""

import contextlib
import socket
import threading
from collections.abc import Callable
from typing import Any

_CHUNK_BYTES = 65_536


class Link:
    """Forwards connections to `port`; what it holds when it is closed is lost.

    It runs in threads, because those at its ends may block whoever waits for them.
    """

    def __init__(self, port: int) -> None:
        self._to = port
        self._flows = threading.Event()
        self._flows.set()
        self._deserted: list[threading.Event] = []
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._run(self._accept)

    def stall(self) -> None:
        """Hold from now on whatever the server sends."""
        self._flows.clear()

    def desert(self) -> None:
        """Hold what comes over the connections there are, as if the far end were gone.

        New ones flow.
        """
        self.stall()
        self._deserted.append(self._flows)
        self._flows = threading.Event()
        self._flows.set()

    def close(self) -> None:
        """Cut all connections, with what is on the way."""
        for sock in (self._listener, *self._sockets):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()
        for flows in (self._flows, *self._deserted):
            flows.set()
        for thread in self._threads:
            thread.join()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                far = socket.create_connection(("127.0.0.1", self._to))
                self._sockets += [near, far]
                self._run(self._pump, near, far)
                self._run(self._pump, far, near, self._flows)

    def _pump(
        self,
        source: socket.socket,
        sink: socket.socket,
        gate: threading.Event | None = None,
    ) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(_CHUNK_BYTES):
                if gate is not None:
                    gate.wait()
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)

    def _run(self, work: Callable[..., None], *args: Any) -> None:
        thread = threading.Thread(target=work, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()
