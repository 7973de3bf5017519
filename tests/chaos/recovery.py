"""How long the jobs of a killed worker wait until somebody runs them again."""

import contextlib
import time
from dataclasses import dataclass, field

from redis.asyncio import Redis
from redis.exceptions import RedisError

from service.job_store import keys
from tests.chaos.watch import Watcher


@dataclass(frozen=True)
class _Death:
    at_ms: float
    jobs: frozenset[str]


@dataclass
class Recoveries:
    """Who held what when it was killed.

    A Valkey that dies meanwhile puts all claims off, so what waits for it is left out.
    """

    redis: Redis
    deaths: list[_Death] = field(default_factory=list)
    outages_ms: list[float] = field(default_factory=list)

    async def mourn(self, pid: int) -> None:
        """Note what a worker had in hand that was killed just now."""
        at_ms = time.time() * 1000
        with contextlib.suppress(RedisError, OSError):
            self.deaths.append(_Death(at_ms, await self._held_by(pid)))

    def without_valkey(self) -> None:
        """Note that Valkey dies."""
        self.outages_ms.append(time.time() * 1000)

    def seconds(self, watcher: Watcher) -> list[float]:
        """Return how long each job waited for its next claim."""
        waits = []
        for death in self.deaths:
            for job_id in death.jobs:
                claims = watcher.runs.get(job_id, [])
                again = min((at for at in claims if at > death.at_ms), default=None)
                if again is None or self._was_away(death.at_ms, again):
                    continue
                waits.append((again - death.at_ms) / 1000)
        return waits

    def _was_away(self, begun_ms: float, ended_ms: float) -> bool:
        return any(begun_ms <= at <= ended_ms for at in self.outages_ms)

    async def _held_by(self, pid: int) -> frozenset[str]:
        ids = await self.redis.zrangebyscore(keys.QUEUE, "(0", "+inf")
        async with self.redis.pipeline(transaction=False) as pipe:
            for job_id in ids:
                pipe.hmget(keys.job(job_id.decode()), "state", "worker")
            records = await pipe.execute()
        mine = f":{pid}:".encode()
        return frozenset(
            job_id.decode()
            for job_id, (state, worker) in zip(ids, records, strict=True)
            if state == b"running" and mine in (worker or b"")
        )
