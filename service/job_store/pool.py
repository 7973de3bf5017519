"""Connections to Redis, of which none waits for ever."""

from typing import Any

import hiredis
from redis.asyncio import (
    Connection,
    ConnectionPool,
    SSLConnection,
    UnixDomainSocketConnection,
)
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError


def redis_pool(url: str, *, timeout_s: float) -> ConnectionPool:
    """Return a pool whose every wait has an end.

    A connection that died while idle is replaced once, unseen; there is no other
    retry, because a caller may have been refused meanwhile.
    """
    options = {} if url.startswith("unix:") else {"socket_keepalive": True}
    pool = ConnectionPool.from_url(
        url,
        socket_timeout=timeout_s,
        socket_connect_timeout=2,
        retry=Retry(NoBackoff(), 1, supported_errors=(RedisConnectionError,)),
        **options,
    )
    pool.connection_class = _PACKED[pool.connection_class]
    return pool


class _Packed:
    """Packs commands in C, as redis-py 5 does for its blocking connections only."""

    def pack_command(self, *args: Any) -> list[bytes]:
        """Return the command as it goes over the wire."""
        name = args[0]
        words = name.split() if isinstance(name, str) else (name,)
        return [hiredis.pack_command((*words, *args[1:]))]


class _Tcp(_Packed, Connection):
    pass


class _Tls(_Packed, SSLConnection):
    pass


class _Unix(_Packed, UnixDomainSocketConnection):
    pass


_PACKED = {
    Connection: _Tcp,
    SSLConnection: _Tls,
    UnixDomainSocketConnection: _Unix,
}
