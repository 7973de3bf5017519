"""Which workers take jobs and whom they can call, as it was when last looked."""

from collections.abc import Iterable
from datetime import timedelta
from functools import cache
from importlib import metadata

from redis.asyncio import Redis

from service.core.catalog import Route
from service.job_store import keys
from service.job_store.gates import read_served
from service.job_store.times import ms, redis_now_ms

_SILENT = timedelta(seconds=9)
"""A worker that has said nothing for so long, three times, is taken to be gone."""
_KNOWN_FOR = timedelta(minutes=1)


async def tell_worker(redis: Redis, name: str, *, slots: int) -> None:
    """Say that a worker takes jobs, and how many; may raise RedisError."""
    now_ms = await redis_now_ms(redis)
    async with redis.pipeline(transaction=False) as pipe:
        pipe.zadd(keys.WORKERS, {name: now_ms})
        pipe.set(keys.worker(name), f"{slots} {version_here()}", px=ms(_KNOWN_FOR))
        await pipe.execute()


@cache
def version_here() -> str:
    """Return the version that is installed here."""
    try:
        return metadata.version("darkroom")
    except metadata.PackageNotFoundError:
        return "from a checkout"


async def alive(redis: Redis) -> int:
    """Return how many workers take jobs, as they said lately; may raise RedisError."""
    spoke_since = await redis_now_ms(redis) - ms(_SILENT)
    workers: int = await redis.zcount(keys.WORKERS, spoke_since, "+inf")
    return workers


class Fleet:
    """Seen every few seconds, so that no submission has to ask.

    Attributes:
        workers: How many are alive and do not drain.
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
        # A worker tells of its providers before it counts itself, and here they are
        # read the other way around: none is seen without those it can call.
        workers = await alive(self._redis)
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
