"""Looks at records, of many callers together, and at the places of jobs that wait."""

import asyncio
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from redis.asyncio import Redis

from service.core.jobs import Job, JobId
from service.job_store import keys
from service.job_store.answers import ANSWER_BUDGET_S, told, within
from service.job_store.gather import Gather
from service.job_store.records import read_job
from service.job_store.scripting import reader

_ABOARD, _ABREAST = 100, 2
"""With a single round trip at a time the front door and Redis wait for each other."""
_MOST_KEPT, _MOST_KEPT_BYTES = 2000, 8192
_EPHEMERAL = b"shown"


class Looked(NamedTuple):
    """What was found.

    Attributes:
        pairs: Its fields and values in turn; none: there is no such job.
        place: How many jobs of its lane start before it, and itself; 0: it is not
            ready, nor does it wait for others of its key.
    """

    pairs: Sequence[bytes]
    place: int

    def job(self, job_id: JobId) -> Job:
        """Return what was found, the same object as before where it is as it was.

        Of ephemeral jobs nothing is to be left, here neither.
        """
        pairs = tuple(self.pairs)
        if _EPHEMERAL in pairs or sum(map(len, pairs)) > _MOST_KEPT_BYTES:
            return _read(job_id, pairs)
        return _read_kept(job_id, pairs)


class Looking:
    """Reads records. Every call may raise QueueUnavailable: Redis is away."""

    def __init__(self, redis: Redis) -> None:
        self._redis, self._look = redis, reader(redis, "look")
        self._gather: Gather[JobId, Looked] = Gather(
            self._send, most=_ABOARD, abreast=_ABREAST
        )

    async def __call__(self, job_id: JobId) -> Looked:
        """Look at one job."""
        looked: Looked = await told(self._gather(job_id))
        return looked

    async def place_of(self, job: Job, place: int) -> int | None:
        """Return the place of a queued job, by what was seen of it just now.

        Where no provider takes calls of it: how many wait for the same routes. None:
        it is in no lane, as one that has begun meanwhile.
        """
        if place > 0:
            return place
        found: int | None = await within(_waits(self._redis, job))
        return found

    async def aclose(self) -> None:
        """Stop the shared round trips."""
        await self._gather.aclose()

    async def _send(self, ids: Sequence[JobId]) -> list[Looked]:
        async with asyncio.timeout(ANSWER_BUDGET_S):
            found = await self._look(ids)
        return [Looked(*each) for each in zip(found[::2], found[1::2], strict=True)]


def _read(job_id: JobId, pairs: Sequence[bytes]) -> Job:
    return read_job(job_id, dict(zip(pairs[::2], pairs[1::2], strict=True)))


_read_kept = lru_cache(maxsize=_MOST_KEPT)(_read)
"""Who polls asks again and again for what stands as it stood."""


async def _waits(redis: Redis, job: Job) -> int | None:
    names = await redis.smembers(keys.WAITS)  # type: ignore[misc]
    async with redis.pipeline(transaction=False) as pipe:
        for name in names:
            pipe.zrank(keys.wait(name.decode()), job.id)
        ranks = await pipe.execute()
    return next((int(rank) + 1 for rank in ranks if rank is not None), None)
