"""Ports for programs that want to be told one."""

import socket


def free_port() -> int:
    """Return a port of this machine that nobody listened on just now."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port: int = held.getsockname()[1]
        return port
