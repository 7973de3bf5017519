"""Watches every job of an account: each state it takes, and that none is taken back.

Records are read again and again; the stream of events is followed besides, because
it misses nothing between two looks. Both come straight from Redis.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from redis.asyncio import Redis
from redis.exceptions import RedisError

from service.core.jobs import JobState
from service.job_store import keys
from service.job_store.listening import end

_PERIOD_S = 0.5
_FINALS_EVERY = 20
_FIELDS = (
    "state",
    "fence",
    "attempts",
    "interruptions",
    "created_ms",
    "completed_ms",
    "result",
)


@dataclass(frozen=True)
class Seen:
    """One look at one record."""

    state: JobState
    fence: int
    attempts: int
    interruptions: int
    created_ms: int
    completed_ms: int
    result: bytes = b""

    @property
    def took_s(self) -> float:
        """From acceptance to end; below 0 while there is none."""
        return (self.completed_ms - self.created_ms) / 1000

    def regressed_to(self, now: "Seen") -> bool:
        """Whether `now` takes back what was true before."""
        if self.state.is_final:
            return now != self
        counts = ("fence", "attempts", "interruptions")
        return any(getattr(now, name) < getattr(self, name) for name in counts)


class Watcher:
    """What was seen.

    Attributes:
        seen: Each job as it was last.
        backwards: What went back, in words.
        finals: How many final states the stream told of each job.
        runs: When each job was claimed, in ms of Redis's clock.
    """

    def __init__(self, redis: Redis, *, account: str) -> None:
        self._redis, self._account = redis, account
        self._last_event = "0"
        self.seen: dict[str, Seen] = {}
        self.backwards: list[str] = []
        self.finals: Counter[str] = Counter()
        self.runs: dict[str, list[int]] = {}

    @property
    def finished(self) -> int:
        """How many jobs were seen in a final state."""
        return sum(seen.state.is_final for seen in self.seen.values())

    async def run(self) -> None:
        """Look until canceled; Redis may be away."""
        rounds = 0
        while True:
            with contextlib.suppress(RedisError, OSError):
                await self.look(everything=rounds % _FINALS_EVERY == 0)
                rounds += 1
            await asyncio.sleep(_PERIOD_S)

    async def look(self, *, everything: bool = True) -> None:
        """Read the records, those of final jobs only on request, and the stream.

        Raises:
            RedisError: Redis is away.
        """
        listed = await self._redis.zrange(keys.jobs_of(self._account), 0, -1)
        ids = {job_id.decode() for job_id in listed}
        for lost in self.seen.keys() - ids:
            self.backwards.append(f"{lost} vanished from the listing")
        if not everything:
            ids = {i for i in ids if i not in self.seen or not self._is_final(i)}
        for job_id, record in zip(ids, await self._records(list(ids)), strict=True):
            self._compare(job_id, record)
        await self._follow()

    def longest_gap_s(self) -> float:
        """The longest time from one claim of a job to its next."""
        gaps = [b - a for at in self.runs.values() for a, b in pairwise(at)]
        return max(gaps, default=0) / 1000

    def _is_final(self, job_id: str) -> bool:
        return self.seen[job_id].state.is_final

    async def _records(self, ids: Sequence[str]) -> list[list[bytes | None]]:
        async with self._redis.pipeline(transaction=False) as pipe:
            for job_id in ids:
                pipe.hmget(keys.job(job_id), *_FIELDS)
            records: list[list[bytes | None]] = await pipe.execute()
        return records

    def _compare(self, job_id: str, record: Sequence[bytes | None]) -> None:
        before = self.seen.get(job_id)
        if record[0] is None:
            self.backwards.append(f"{job_id} has no record")
            return
        state, *numbers, result = record
        now = Seen(
            JobState(state.decode()), *(int(n or 0) for n in numbers), result or b""
        )
        if before is not None and before.regressed_to(now):
            self.backwards.append(f"{job_id} went from {before} to {now}")
        self.seen[job_id] = now

    async def _follow(self) -> None:
        stream = keys.events(self._account)
        while answer := await self._redis.xread({stream: self._last_event}, count=5000):
            [[_, events]] = answer
            for event_id, fields in events:
                self._note(event_id, fields[b"job"].decode(), fields[b"state"].decode())
            self._last_event = events[-1][0]

    def _note(self, event_id: bytes, job_id: str, state: str) -> None:
        if JobState(state).is_final:
            self.finals[job_id] += 1
        elif self.finals[job_id]:
            self.backwards.append(f"{job_id} was told {state} after its end")
        if state == JobState.RUNNING:
            claimed_ms = int(event_id.split(b"-")[0])
            self.runs.setdefault(job_id, []).append(claimed_ms)


@contextlib.asynccontextmanager
async def watching(url: str, *, account: str = "default") -> AsyncIterator[Watcher]:
    """Watch while the context is open."""
    redis = Redis.from_url(url, socket_timeout=5)
    watcher = Watcher(redis, account=account)
    task = asyncio.create_task(watcher.run())
    try:
        yield watcher
    finally:
        await end([task])
        await redis.aclose()
