"""What workers count of their attempts, summed over the fleet in one hash of Redis.

Counted in memory and written down with the word that a worker lives, so that no
attempt waits for it. A worker that is killed takes the last seconds of its counting
along: these are figures for curves, the books are elsewhere (`darkroom:usage`).
"""

import time
from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from itertools import accumulate
from typing import Literal, NamedTuple, TypeAlias

import orjson
from redis.asyncio import Redis
from redis.exceptions import RedisError

from service.core.jobs import Attempt, JobId
from service.job_store import keys

Stage: TypeAlias = Literal["wait", "attempt", "keep", "settle", "whole"]
"""In the queue; one attempt; decoding and storing; the commit; from submit to end."""
Name: TypeAlias = tuple[str, ...]

BOUNDS_S = (0.005, 0.025, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)
_SAMPLES = 20
_MICROS = 1_000_000
_TIMES = ["created_ms", "started_ms", "completed_ms"]


class Histogram(NamedTuple):
    """How long something took, as Prometheus wants it.

    Attributes:
        buckets: Upper bounds in seconds and how many took no longer.
        total_s: All of it together.
    """

    buckets: list[tuple[str, float]]
    total_s: float


class Tally:
    """Counts for one worker; what it does not hear of costs nothing."""

    def __init__(self) -> None:
        self._counts = Counter[Name]()
        self._ended: deque[JobId] = deque(maxlen=_SAMPLES)

    def attempted(self, attempt: Attempt) -> None:
        """Count an attempt, what it cost and how long it took."""
        outcome = attempt.error_code or attempt.outcome
        self._counts["attempts", attempt.provider, outcome] += 1
        if attempt.cost_usd is not None:
            micros = int(Decimal(attempt.cost_usd) * _MICROS)
            source = attempt.cost_source or "unknown"
            self._counts["cost", attempt.provider, source] += micros
        if attempt.ms is not None:
            self.took("attempt", attempt.ms / 1000, provider=attempt.provider)

    def took(self, stage: Stage, seconds: float, *, provider: str = "") -> None:
        """Count one passage of a stage."""
        place = bisect_left(BOUNDS_S, seconds)
        self._counts["stage", stage, provider, str(place)] += 1
        self._counts["stage", stage, provider, "us"] += int(seconds * _MICROS)

    @contextmanager
    def timed(self, stage: Stage) -> Iterator[None]:
        """Count what the block takes, unless it raises."""
        begun = time.monotonic()
        yield
        self.took(stage, time.monotonic() - begun)

    def ended(self, job_id: JobId) -> None:
        """Look later how long the job was under way; a few of many are enough."""
        self._ended.append(job_id)

    def lost(self, leases: int) -> None:
        """Count leases that another worker took over."""
        if leases:
            self._counts["lost",] += leases

    def erred(self, part: Literal["redis", "store"]) -> None:
        """Count one call to a backend that went wrong."""
        self._counts["errors", part] += 1

    async def flush(self, redis: Redis) -> None:
        """Write down what was counted since the last time.

        Raises:
            RedisError: It is kept, and written the next time; at worst twice.
        """
        ids, self._ended = tuple(self._ended), deque(maxlen=_SAMPLES)
        await self._look_at(redis, ids)
        counts, self._counts = self._counts, Counter()
        if not counts:
            return
        try:
            async with redis.pipeline(transaction=False) as pipe:
                for name, count in counts.items():
                    pipe.hincrby(keys.TALLY, orjson.dumps(name).decode(), count)
                await pipe.execute()
        except (RedisError, OSError):
            self._counts.update(counts)
            raise

    async def _look_at(self, redis: Redis, ids: tuple[JobId, ...]) -> None:
        if not ids:
            return
        async with redis.pipeline(transaction=False) as pipe:
            for job_id in ids:
                pipe.hmget(keys.job(job_id), _TIMES)
            rows = await pipe.execute()
        for row in rows:
            if None not in row:
                created, started, completed = map(int, row)
                self.took("wait", (started - created) / 1000)
                self.took("whole", (completed - created) / 1000)


class Tallied(NamedTuple):
    """The sums of the whole fleet since its Redis was empty.

    Attributes:
        attempts: By provider and outcome, which is `succeeded`, `canceled` or the
            code of the error.
        cost_usd: By provider and who says so.
        stages: By stage and provider ('' where it is not a provider's).
        lost: Leases that another worker took over.
        errors: Calls to `redis` and `store` that went wrong in workers.
    """

    attempts: Mapping[Name, int]
    cost_usd: Mapping[Name, float]
    stages: Mapping[Name, Histogram]
    lost: int
    errors: Mapping[str, int]


async def read_tally(redis: Redis) -> Tallied:
    """Return what all workers counted; may raise RedisError."""
    stored = await redis.hgetall(keys.TALLY)  # type: ignore[misc]
    counts: dict[Name, int] = {
        tuple(orjson.loads(name)): int(count) for name, count in stored.items()
    }
    return Tallied(
        attempts={name[1:]: n for name, n in counts.items() if name[0] == "attempts"},
        cost_usd={
            name[1:]: n / _MICROS for name, n in counts.items() if name[0] == "cost"
        },
        stages={
            stage: _histogram(counts, stage)
            for stage in sorted({n[1:3] for n in counts if n[0] == "stage"})
        },
        lost=counts.get(("lost",), 0),
        errors={part: counts.get(("errors", part), 0) for part in ("redis", "store")},
    )


def _histogram(counts: Mapping[Name, int], stage: Name) -> Histogram:
    bounds = (*map(str, BOUNDS_S), "+Inf")
    found = (counts.get(("stage", *stage, str(i)), 0) for i in range(len(bounds)))
    total_us = counts.get(("stage", *stage, "us"), 0)
    return Histogram(
        list(zip(bounds, accumulate(map(float, found)), strict=True)),
        total_us / _MICROS,
    )
