"""Which URLs may be told of events; the rest of the guard stands at the connection.

A name is not resolved here: what it leads to may change by the time of the delivery,
and only the address of the socket itself tells (`service.guard`). What is refused at
once is whatever can never be right, so that it is not found out days later.
"""

import ipaddress
import re
import socket
import unicodedata
from ipaddress import IPv4Address, IPv6Address
from typing import NoReturn
from urllib.parse import urlsplit

from service.core.addresses import Address, is_public, unwrapped
from service.core.errors import InvalidRequest
from service.guard import WEB_PORTS
from service.settings import Outbound

_MOST = 2048
_FORM = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<authority>[^/?#]+)(?P<rest>[!-~]*)"
)
_FORBIDDEN = re.compile(r"[\x00-\x20\x7f-\x9f\\]")
_AUTHORITY = re.compile(r"(?P<host>\[[^\]]*\]|[^:]*)(?::(?P<port>[0-9]{0,5}))?")
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_PORTS = {"https": 443, "http": 80}
_MOST_PORT = 65_535
_LEAST_OF_ONES_OWN = 1024
"""Below it listens what an operator set up as root, and next to none of it is HTTP."""
_DOTS = str.maketrans("\u3002\uff0e\uff61", "...")
"""What IDNA takes for dots besides."""


class Urls:
    """Checks URLs by the rules of one installation.

    Args:
        rules: What the guard lets through.
        base_url: Our own, which is nowhere to send events to.
    """

    def __init__(self, rules: Outbound, *, base_url: str) -> None:
        self._networks = tuple(rules.allowed_networks)
        self._allow_http = rules.allow_http
        own = urlsplit(base_url)
        named = own.hostname or ""
        self._own_host = f"[{named}]" if ":" in named else named
        self._own_port = own.port or _PORTS[own.scheme]

    def checked(self, url: str, *, param: str) -> str:
        """Return the URL as it is called: its host in ASCII and lower case.

        Raises:
            InvalidRequest: `invalid_url`, `url_userinfo`, `webhook_https_required`,
                `url_not_allowed` or `url_port`.
        """
        match = _FORM.fullmatch(url)
        if match is None or len(url) > _MOST or _FORBIDDEN.search(url):
            _refuse("must be an https: URL of at most 2,048 characters", param)
        scheme, authority, rest = match["scheme"].lower(), match["authority"], match[3]
        if scheme not in _PORTS or "#" in rest:
            _refuse("must be an https: URL without a fragment", param)
        if "@" in authority:
            _refuse("must not name a user", param, code="url_userinfo")
        if scheme == "http" and not self._allow_http:
            _refuse("must begin with https:", param, code="webhook_https_required")
        parts = _AUTHORITY.fullmatch(authority)
        if parts is None or not parts["host"]:
            _refuse("has a host that cannot be read", param)
        port = int(parts["port"] or _PORTS[scheme])
        host = self._host(parts["host"], param)
        self._check_port(port, host, param)
        if self._is_ours(host, port):
            _refuse_target(param)
        shown = "" if port == _PORTS[scheme] else f":{port}"
        return f"{scheme}://{host}{shown}{rest if rest.startswith('/') else f'/{rest}'}"

    def _host(self, text: str, param: str) -> str:
        host = unicodedata.normalize("NFKC", text).translate(_DOTS).lower()
        address = _address(host.rstrip("."))
        if address is not None:
            self._check_address(address, param)
            return f"[{address}]" if address.version == 6 else str(address)  # noqa: PLR2004
        try:
            name = host.encode("idna").decode()
        except UnicodeError:
            _refuse("has a host that cannot be read", param)
        bare = name.rstrip(".")
        if not all(map(_LABEL.fullmatch, bare.split("."))) or _ends_in_a_number(bare):
            _refuse("has a host that cannot be read", param)
        if _is_here(bare) and not self._networks:
            _refuse_target(param)
        return name

    def _check_address(self, address: Address, param: str) -> None:
        real, named = unwrapped(address), self._is_let_in(address)
        scoped = isinstance(real, IPv6Address) and real.scope_id is not None
        if scoped or not (named or is_public(real)):
            _refuse_target(param)

    def _is_let_in(self, address: Address) -> bool:
        return any(unwrapped(address) in network for network in self._networks)

    def _is_ours(self, host: str, port: int) -> bool:
        bare, own = host.rstrip("."), self._own_host
        same = bare == own or (_is_here(bare) and _is_here(own))
        return same and (port == self._own_port or not self._networks)

    def _check_port(self, port: int, host: str, param: str) -> None:
        if port in WEB_PORTS:
            return
        address = _address(host)
        if address is not None:
            is_right = self._is_let_in(address)
        else:
            # A name may lead inside; the guard alone sees whether this one does.
            is_right = bool(self._networks) and port >= _LEAST_OF_ONES_OWN
        if not (is_right and 0 < port <= _MOST_PORT):
            _refuse(f"has a port that {host} is not called at", param, code="url_port")


def _is_here(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    address = _address(host)
    return address is not None and unwrapped(address).is_loopback


def _address(host: str) -> Address | None:
    """Return the address that resolvers take the text for; None: it is a name."""
    try:
        if host.startswith("["):
            return IPv6Address(host[1:-1])
        # Takes 127.1, 0x7f000001, 0177.0.0.1 and 2130706433, as they do.
        return IPv4Address(socket.inet_aton(host))
    except (OSError, ipaddress.AddressValueError, UnicodeEncodeError):
        return None


def _ends_in_a_number(name: str) -> bool:
    return name.rpartition(".")[2].isdecimal()


def _refuse_target(param: str) -> NoReturn:
    _refuse("leads where no URL may lead", param, code="url_not_allowed")


def _refuse(sentence: str, param: str, *, code: str = "invalid_url") -> NoReturn:
    raise InvalidRequest(f"{param} {sentence}", code=code, param=param)
