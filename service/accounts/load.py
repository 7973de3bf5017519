"""What an account has under way, over all its keys."""

import time
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

from redis.asyncio import Redis

from service.accounts.apikey import ApiKey
from service.accounts.waiting import within

_TRUST_S = 5.0


class Load(NamedTuple):
    """Unfinished jobs.

    Attributes:
        open: All of them.
        running: Those in work.
    """

    open: int
    running: int


class Loads:
    """Reads loads; which keys there are, it believes for five seconds.

    Args:
        redis: Where scripts count, by key.
        keys: Lists all keys.
    """

    def __init__(
        self, redis: Redis, keys: Callable[[], Awaitable[Sequence[ApiKey]]]
    ) -> None:
        self._redis, self._keys = redis, keys
        self._listed: Sequence[ApiKey] = ()
        self._until = 0.0

    async def of(self, account: str) -> Load:
        """Return what the account has under way; may raise QueueUnavailable."""
        if self._until < time.monotonic():
            self._listed = await self._keys()
            self._until = time.monotonic() + _TRUST_S
        async with self._redis.pipeline(transaction=False) as pipe:
            for key in self._listed:
                if key.account == account:
                    pipe.hmget(f"darkroom:use:{key.id}", ["open", "running"])
            rows = await within(pipe.execute())
        counts = [[max(0, int(count or 0)) for count in row] for row in rows]
        return Load(sum(row[0] for row in counts), sum(row[1] for row in counts))
