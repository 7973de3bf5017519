"""Where Redis is: one server by `redis://` or `unix:///`, or whoever Sentinels name.

`redis+sentinel://user:password@host:26379,host:26379/service/0`; the user and the
password are those of Redis, and TLS (`rediss+sentinel://`) goes to both. Sentinels
that want a password get it in `?sentinel_password=`, a user in `?sentinel_username=`.
"""

import re
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote, urlsplit

_SENTINEL = "+sentinel"
_SENTINEL_PORT = 26379
_HOST = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([^:\[\]]+))(?::([0-9]{1,5}))?")
_OPTIONS = frozenset({"sentinel_username", "sentinel_password"})
_FORMS = (
    "must be redis://host, rediss://host, unix:///path or "
    "redis+sentinel://host,host/service"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sentinels:
    """Who is asked where the primary is, and what is said to both.

    Attributes:
        asked: Host and port of each Sentinel.
        service: The name they know the primary by.
        login: User and password of Redis, where there are any.
        sentinel_login: Those of the Sentinels.
    """

    asked: tuple[tuple[str, int], ...]
    service: str
    database: int
    tls: bool
    login: dict[str, str] = field(repr=False)
    sentinel_login: dict[str, str] = field(repr=False)


def check_redis_url(url: str) -> None:
    """Pass in silence when the URL can name a Redis.

    Raises:
        ValueError: It cannot; says why, without the URL.
    """
    parts = urlsplit(url)
    database = parts.path.strip("/")
    if parts.scheme == "unix" and database:
        return
    if parts.scheme.endswith(_SENTINEL):
        sentinels_of(url)
        return
    if parts.scheme not in {"redis", "rediss"} or not parts.hostname:
        raise ValueError(_FORMS)
    if parts.port == 0 or not (database or "0").isdecimal():
        raise ValueError("needs a port and a database that are numbers")


def sentinels_of(url: str) -> Sentinels | None:
    """Return whom to ask for the primary; None: the URL names the server itself.

    Raises:
        ValueError: It names Sentinels, and cannot be right.
    """
    parts = urlsplit(url)
    if not parts.scheme.endswith(_SENTINEL):
        return None
    scheme = parts.scheme.removesuffix(_SENTINEL)
    service, _, database = parts.path.strip("/").partition("/")
    if scheme not in {"redis", "rediss"} or not service:
        raise ValueError(_FORMS)
    if not (database or "0").isdecimal():
        raise ValueError("needs a database that is a number")
    options = dict(parse_qsl(parts.query))
    if options.keys() - _OPTIONS:
        raise ValueError(f"takes no options but {' and '.join(sorted(_OPTIONS))}")
    login, _, hosts = parts.netloc.rpartition("@")
    user, _, password = login.partition(":")
    return Sentinels(
        asked=tuple(_address(host) for host in hosts.split(",")),
        service=unquote(service),
        database=int(database or 0),
        tls=scheme == "rediss",
        login=_login(unquote(user), unquote(password)),
        sentinel_login=_login(
            options.get("sentinel_username", ""), options.get("sentinel_password", "")
        ),
    )


def _address(host: str) -> tuple[str, int]:
    found = _HOST.fullmatch(host)
    port = int(found[3] or _SENTINEL_PORT) if found else 0
    if found is None or not 0 < port < 2**16:
        raise ValueError("names a Sentinel that is no host:port")
    return found[1] or found[2], port


def _login(username: str, password: str) -> dict[str, str]:
    given = {"username": username, "password": password}
    return {name: value for name, value in given.items() if value}


def without_password(url: str) -> str:
    """Return a Redis URL as it may be shown."""
    parts = urlsplit(url)
    login, _, host = parts.netloc.rpartition("@")
    user, colon, _ = login.partition(":")
    if colon:
        parts = parts._replace(netloc=f"{user}:***@{host}")
    if "password=" in parts.query:
        parts = parts._replace(query="***")
    return url if parts == urlsplit(url) else parts.geturl()
