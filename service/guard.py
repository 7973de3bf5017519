"""Makes sockets to allowed addresses only, whatever name led to them.

Used as the connector's socket factory, it sees the very address of every attempt
to connect: a resolver would not be asked about `http://127.0.0.1`, and what it
answered could have changed by the time of the connection.
"""

import socket
from ipaddress import ip_address
from typing import Any

from service.core.addresses import Network, is_public, unwrapped

WEB_PORTS = frozenset({80, 443, 8443})
"""Where strangers' servers may be called; what else listens is none of our business."""


class AddressRefused(OSError):
    """The guard said no; an OSError because that is what connectors expect."""


class Guard:
    """Lets through the web ports of public addresses, and all of `allowed`."""

    def __init__(self, allowed: tuple[Network, ...]) -> None:
        self._allowed = allowed

    def __call__(self, addr_info: Any) -> socket.socket:
        """Return a socket for what `getaddrinfo` found.

        Raises:
            AddressRefused: It may not be called.
        """
        family, kind, proto, _, (host, port, *_) = addr_info
        address = unwrapped(ip_address(host))
        named = any(address in network for network in self._allowed)
        if not (named or (is_public(address) and port in WEB_PORTS)):
            raise AddressRefused("the address is not one that may be called")
        return socket.socket(family, kind, proto)
