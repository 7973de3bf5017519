"""Which workers are alive and whom they can call, as it was when last looked."""

import time
from collections.abc import Iterable

from redis.asyncio import Redis

from service.core.catalog import Route
from service.job_store import keys
from service.job_store.gates import read_served

_SILENT_MS = 30_000
"""A worker that has said nothing for so long is taken to be gone."""


class Fleet:
    """Seen every few seconds, so that no submission has to ask.

    Attributes:
        workers: How many are alive.
        served: Providers that one of them can call.
    """

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self.workers = 0
        self.served: frozenset[str] = frozenset()

    async def look(self, providers: Iterable[str]) -> None:
        """Look again, at these providers.

        Raises:
            RedisError: Redis is away; what was seen before stays.
        """
        spoke_since = time.time() * 1000 - _SILENT_MS
        # A worker tells of its providers before it counts itself, and here they are
        # read the other way around: none is seen without those it can call.
        workers = await self._redis.zcount(keys.WORKERS, spoke_since, "+inf")
        self.served = await read_served(self._redis, tuple(providers))
        self.workers = workers

    def can_call(self, routes: Iterable[Route]) -> bool:
        """Whether a worker that is alive can call one of the routes."""
        return self.workers > 0 and any(r.provider in self.served for r in routes)

    def waits_for_nobody(self, routes: Iterable[Route]) -> bool:
        """Whether there are workers, and not one that can call one of the routes.

        Without any worker nobody can tell: they may all be on their way.
        """
        return self.workers > 0 and not self.can_call(routes)
