"""What is done to sockets below their transports."""

import asyncio
import socket
import struct

_NO_LINGER = struct.pack("ii", 1, 0)


def cut_off(transport: asyncio.Transport) -> None:
    """Reset the connection, and let the kernel forget what it holds for the other."""
    sock = transport.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
    transport.abort()


def hold_at_most(transport: asyncio.Transport, size_bytes: int) -> None:
    """Bound what the kernel takes from us before the other has taken it."""
    sock = transport.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, size_bytes)
