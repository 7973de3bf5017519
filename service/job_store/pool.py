"""Connections to Redis, of which none waits for ever."""

import asyncio
from collections.abc import Iterable
from typing import Any

import hiredis
from redis.asyncio import (
    Connection,
    ConnectionPool,
    SSLConnection,
    UnixDomainSocketConnection,
)
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import (
    Sentinel,
    SentinelConnectionPool,
    SentinelManagedConnection,
    SentinelManagedSSLConnection,
)
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

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
    pool.connection_class = _QUICK[pool.connection_class]
    return pool


async def cut_idle(pool: ConnectionPool) -> None:
    """Disconnect whatever nobody has in hand, so that the next looks where to go.

    They are taken out of the pool first: redis-py's own way hands one out while it
    is being cut, and what trips over that is no error of Redis.
    """
    idle, pool._available_connections = pool._available_connections, []  # noqa: SLF001 - as said
    for connection in idle:
        await connection.disconnect(nowait=True)


class _Quick(AbstractConnection):
    """What redis-py 5 does for every command, at half of its price.

    Commands are packed in C, as it does for blocking connections only. It makes a task
    of each write to wait for it, in which Python 3.11 can lose a cancellation; and it
    reads in vain before each command, a turn of the loop and an exception, to learn
    whether the connection is fresh, which its stream knows.
    """

    def pack_command(self, *args: Any) -> list[bytes]:
        """Return the command as it goes over the wire."""
        name = args[0]
        words = name.split() if isinstance(name, str) else (name,)
        return [hiredis.pack_command((*words, *args[1:]))]

    async def can_read_destructive(self) -> bool:
        """Return whether something lies there that nobody asked for.

        Raises:
            RedisConnectionError: The server has closed it, or the way there has.
        """
        stream = self._reader
        if stream is None or stream.exception() is not None or stream.at_eof():
            await self.disconnect(nowait=True)
            raise RedisConnectionError("the connection was closed")
        # To read would be to wait: asyncio and redis-py tell of it nowhere else.
        unread: bytearray = stream._buffer  # type: ignore[attr-defined]  # noqa: SLF001
        parser: Any = self._parser
        return bool(unread) or parser._reader.has_data()  # noqa: SLF001

    async def send_packed_command(
        self,
        command: bytes | str | Iterable[bytes],
        check_health: bool = True,  # noqa: FBT001, FBT002 - its signature
    ) -> None:
        """Write a command, connecting before where that must be.

        Raises:
            RedisConnectionError: There is no way there.
            RedisTimeoutError: It is not taken.
        """
        if not self.is_connected:
            await self.connect()  # type: ignore[no-untyped-call]
        elif check_health:
            await self.check_health()  # type: ignore[no-untyped-call]
        try:
            async with asyncio.timeout(self.socket_timeout):
                await self._send_packed_command(_pieces(command))
        except TimeoutError:
            await self.disconnect(nowait=True)
            raise RedisTimeoutError("nobody takes what is written") from None
        except (OSError, RuntimeError) as exc:  # uvloop's word for one that is closed
            await self.disconnect(nowait=True)
            raise RedisConnectionError("the connection is closed") from exc
        except BaseException:
            await self.disconnect(nowait=True)  # half a command may have gone out
            raise


def _pieces(command: bytes | str | Iterable[bytes]) -> Iterable[bytes]:
    if isinstance(command, str):
        command = command.encode()
    return [command] if isinstance(command, bytes) else command


class _Tcp(_Quick, Connection):
    pass


class _Tls(_Quick, SSLConnection):
    pass


class _Unix(_Quick, UnixDomainSocketConnection):
    pass


class _PrimaryTcp(_Quick, SentinelManagedConnection):
    pass


class _PrimaryTls(_Quick, SentinelManagedSSLConnection):
    pass


_QUICK = {
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
