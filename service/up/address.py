"""Where the front door will listen, looked at before anything is started."""

import errno
import os
import socket

from service.up.folder import CannotStart

_ANY = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared, not bound
_RESERVED = 1024
"""Ports below need a privilege."""


def reserve(host: str, port: int) -> int:
    """Return `port`, or a free one for 0, once it is known that one may listen there.

    Nothing keeps it from being taken between now and then.

    Raises:
        CannotStart: It is taken, forbidden, or not an address of this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.create_server((host, port), family=family) as probe:
            return int(probe.getsockname()[1])
    except OSError as exc:
        raise CannotStart(_reason(host, port, exc)) from exc


def local_url(host: str, port: int) -> str:
    """Return where a front door bound to `host` answers on this machine."""
    host = _ANY.get(host, host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _reason(host: str, port: int, exc: OSError) -> str:
    if exc.errno == errno.EADDRINUSE:
        return f"port {port} is taken: name another with --port (0: any free one)"
    if exc.errno == errno.EACCES and port < _RESERVED:
        return f"port {port} needs a privilege: name one above 1023 with --port"
    # create_server() adds more to strerror than one wants to read; a name that cannot
    # be resolved has a number that strerror() does not know.
    if isinstance(exc, socket.gaierror) or exc.errno is None:
        return f"cannot listen on {host}: there is no such address"
    return f"cannot listen on {host}: {os.strerror(exc.errno)}"
