"""Connections to Redis, of which none waits for ever."""

from collections.abc import Iterable
from typing import Any

import hiredis
from redis.asyncio import (
    Connection,
    ConnectionPool,
    SSLConnection,
    UnixDomainSocketConnection,
)
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import (
    Sentinel,
    SentinelConnectionPool,
    SentinelManagedConnection,
    SentinelManagedSSLConnection,
)
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError

from service.settings.redis_urls import Sentinels, sentinels_of

_CONNECT_S = 2


def redis_pool(url: str, *, timeout_s: float) -> ConnectionPool:
    """Return a pool whose every wait has an end.

    A connection that died while idle is replaced once, unseen; there is no other
    retry, because a caller may have been refused meanwhile. Where the URL names
    Sentinels, each new connection goes to whom they call the primary by then.
    """
    options: dict[str, Any] = {
        "socket_timeout": timeout_s,
        "socket_connect_timeout": _CONNECT_S,
        "retry": Retry(NoBackoff(), 1, supported_errors=(RedisConnectionError,)),
    }
    if not url.startswith("unix:"):
        options["socket_keepalive"] = True
    sentinels = sentinels_of(url)
    if sentinels is not None:
        return _Watched(sentinels, options)
    pool = ConnectionPool.from_url(url, **options)
    pool.connection_class = _PACKED[pool.connection_class]
    return pool


async def cut_idle(pool: ConnectionPool) -> None:
    """Disconnect whatever nobody has in hand, so that the next looks where to go.

    They are taken out of the pool first: redis-py's own way hands one out while it
    is being cut, and what trips over that is no error of Redis.
    """
    idle, pool._available_connections = pool._available_connections, []  # noqa: SLF001 - as said
    for connection in idle:
        await connection.disconnect(nowait=True)


class _Packed:
    """Packs commands in C, as redis-py 5 does for its blocking connections only."""

    def pack_command(self, *args: Any) -> list[bytes]:
        """Return the command as it goes over the wire."""
        name = args[0]
        words = name.split() if isinstance(name, str) else (name,)
        return [hiredis.pack_command((*words, *args[1:]))]

    async def _send_packed_command(self, command: Iterable[bytes]) -> None:
        try:
            await super()._send_packed_command(command)  # type: ignore[misc]
        except RuntimeError as exc:  # uvloop's word for one that is closed
            raise RedisConnectionError("the connection is closed") from exc


class _Tcp(_Packed, Connection):
    pass


class _Tls(_Packed, SSLConnection):
    pass


class _Unix(_Packed, UnixDomainSocketConnection):
    pass


class _PrimaryTcp(_Packed, SentinelManagedConnection):
    pass


class _PrimaryTls(_Packed, SentinelManagedSSLConnection):
    pass


_PACKED = {
    Connection: _Tcp,
    SSLConnection: _Tls,
    UnixDomainSocketConnection: _Unix,
}


class _Watched(SentinelConnectionPool):
    """Connections to a primary, and those to its Sentinels, closed together."""

    def __init__(self, named: Sentinels, options: dict[str, Any]) -> None:
        asking = {**options, **named.sentinel_login, "ssl": named.tls}
        asking["socket_timeout"] = _CONNECT_S  # a frozen one: ask the next
        super().__init__(  # type: ignore[no-untyped-call]
            named.service,
            Sentinel(named.asked, sentinel_kwargs=asking),  # type: ignore[no-untyped-call]
            connection_class=_PrimaryTls if named.tls else _PrimaryTcp,
            db=named.database,
            **named.login,
            **options,
        )

    async def disconnect(
        self,
        inuse_connections: bool = True,  # noqa: FBT001, FBT002 - its signature
    ) -> None:
        """Disconnect as every pool does, from the Sentinels as well."""
        await super().disconnect(inuse_connections)
        for sentinel in self.sentinel_manager.sentinels:
            await sentinel.connection_pool.disconnect(inuse_connections)
