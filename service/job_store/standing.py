"""How the queue stands: what waits where, what runs, and who works at it.

For people who look now and then. What waits is told by its lanes, which is exact; whose
it is and since when, from some of it, evenly spread, so that a million jobs cost no
more than a few hundred.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import orjson
from redis.asyncio import Redis

from service.job_store import keys
from service.job_store.times import clock_ms, maybe_time_of, ms, time_of

_SILENT = timedelta(seconds=9)
_MOST_RUNNING = 300
_SAMPLES = 200
_SUSPECTS = range(1, 6)
_FIELDS = ("state", "worker", "claimed_ms", "account", "priority", "request")


@dataclass(frozen=True, slots=True, kw_only=True)
class Depth:
    """How many jobs wait, by what for.

    Attributes:
        ready: For a free slot, of interactive and normal priority.
        batch: For a free slot, of batch priority.
        interrupted: For one, since a worker died with them.
        blocked: For a provider, or others of their key, or somebody's word.
        busy: In work, or between two attempts.
    """

    ready: int
    batch: int
    interrupted: int
    blocked: int
    busy: int

    @property
    def waiting(self) -> int:
        """All that a worker has not begun."""
        return self.ready + self.batch + self.interrupted + self.blocked


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningJob:
    """One job in work."""

    id: str
    worker: str
    account: str
    priority: str
    model: str
    since: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveWorker:
    """One worker process that is alive.

    Attributes:
        spoke: When it last did.
        slots: Jobs it takes on at once; None: a version that does not say.
        version: Of Darkroom; empty: the same.
    """

    spoke: datetime
    slots: int | None
    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """The queue as it is now.

    Attributes:
        priorities: Of the ready ones, by priority; estimated where there are many.
        oldest: When the oldest of those that were looked at was made.
        workers: Those that take jobs, by name.
        silent: Names of those that ceased to speak without signing off.
        running: Jobs in work, as many as are looked at.
    """

    depth: Depth
    priorities: Mapping[str, int]
    oldest: datetime | None
    workers: Mapping[str, LiveWorker]
    silent: frozenset[str]
    running: Sequence[RunningJob]


async def read_depth(redis: Redis) -> Depth:
    """Return how many wait where; may raise RedisError."""
    suspects = [keys.lane("normal", number) for number in _SUSPECTS]
    async with redis.pipeline(transaction=False) as pipe:
        pipe.zcount(keys.QUEUE, "-inf", "(0")
        pipe.zcount(keys.QUEUE, "(0", "+inf")
        pipe.zcard(keys.lane("batch", 0))
        pipe.smembers(keys.WAITS)
        for lane in suspects:
            pipe.zcount(lane, "-inf", "(0")
        ready, busy, batch, waits, *interrupted = await pipe.execute()
        for name in waits:
            pipe.zcard(keys.wait(name.decode()))
        blocked = await pipe.execute()
    return Depth(
        ready=ready,
        batch=batch,
        interrupted=sum(interrupted),
        blocked=sum(blocked),
        busy=busy,
    )


async def read_standing(redis: Redis) -> Standing:
    """Return the queue as it is now; may raise RedisError."""
    depth = await read_depth(redis)
    step = max(1, depth.ready // _SAMPLES)
    async with redis.pipeline(transaction=False) as pipe:
        pipe.time()
        pipe.zrange(keys.WORKERS, 0, -1, withscores=True)
        pipe.zrangebyscore(keys.QUEUE, "(0", "+inf", start=0, num=_MOST_RUNNING)
        for place in range(0, depth.ready, step):
            pipe.zrange(keys.QUEUE, place, place)
        pipe.zrange(keys.lane("batch", 0), 0, 0)
        clock, workers, busy, *ready = await pipe.execute()
        ids = [found[0].decode() for found in ready if found]
        since_ms = clock_ms(clock) - ms(_SILENT)
        spoke = {name.decode(): at for name, at in workers}
        alive = {name: at for name, at in spoke.items() if at >= since_ms}
        for name in alive:
            pipe.get(keys.worker(name))
        for job_id in ids:
            pipe.hmget(keys.job(job_id), ["priority", "created_ms"])
        for job_id in busy:
            pipe.hmget(keys.job(job_id.decode()), list(_FIELDS))
        rows = await pipe.execute()
    said, rows = rows[: len(alive)], rows[len(alive) :]
    waiting, running = rows[: len(ids)], rows[len(ids) :]
    return Standing(
        depth=depth,
        priorities=_priorities(waiting, depth),
        oldest=_oldest(waiting),
        workers={
            name: _worker(int(at_ms), about)
            for (name, at_ms), about in zip(alive.items(), said, strict=True)
        },
        silent=frozenset(spoke.keys() - alive.keys()),
        running=[
            _running(job_id.decode(), row)
            for job_id, row in zip(busy, running, strict=True)
            if row[0] == b"running"
        ],
    )


def _priorities(rows: Sequence[list[bytes | None]], depth: Depth) -> dict[str, int]:
    counted = Counter(row[0].decode() for row in rows if row[0] and row[0] != b"batch")
    looked_at = counted.total()
    share = depth.ready / looked_at if looked_at else 0.0
    found = {name: round(count * share) for name, count in counted.items()}
    return {"interactive": 0, "normal": 0, **found, "batch": depth.batch}


def _oldest(rows: Sequence[list[bytes | None]]) -> datetime | None:
    made = [int(row[1]) for row in rows if row[1] is not None]
    return maybe_time_of(str(min(made))) if made else None


def _worker(at_ms: int, said: bytes | None) -> LiveWorker:
    slots, _, version = (said or b"").decode().partition(" ")
    return LiveWorker(
        spoke=time_of(at_ms), slots=int(slots) if slots else None, version=version
    )


def _running(job_id: str, row: list[bytes | None]) -> RunningJob:
    _, worker, claimed_ms, account, priority, request = (
        None if value is None else value.decode() for value in row
    )
    return RunningJob(
        id=job_id,
        worker=worker or "",
        account=account or "",
        priority=priority or "",
        model=orjson.loads(request)["model"] if request else "",
        since=maybe_time_of(claimed_ms),
    )
