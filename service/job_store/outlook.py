"""Where in the queue a job stands, or would if it were submitted now."""

from collections.abc import Sequence

from redis.asyncio import Redis

from service.core.jobs import Job
from service.core.requests import Priority
from service.job_store import keys

_FIRST_TAG = -(2**52)


async def place_of(redis: Redis, job: Job) -> int | None:
    """Return how many jobs of its lane start before it, and itself.

    Where no provider takes calls of it: how many wait for the same routes.
    """
    ready = [keys.lane(job.priority, job.interruptions), keys.waiting(job.key_id)]
    place = await _rank(redis, job, ready)
    if place is not None:
        return place
    names = await redis.smembers(keys.WAITS)  # type: ignore[misc]
    return await _rank(redis, job, [keys.wait(name.decode()) for name in names])


async def _rank(redis: Redis, job: Job, lanes: Sequence[str]) -> int | None:
    async with redis.pipeline(transaction=False) as pipe:
        for lane in lanes:
            pipe.zrank(lane, job.id)
        ranks = await pipe.execute()
    return next((int(rank) + 1 for rank in ranks if rank is not None), None)


async def place_of_next(
    redis: Redis, account: str, priority: Priority, *, key_id: str, running: int | None
) -> int:
    """Return how many jobs of its lane start before it, and itself: 1 is next.

    Args:
        redis: Where the queue is.
        account: Whose job it would be.
        priority: The job's.
        key_id: Who would submit it.
        running: Most jobs of the key in work at once; where it has as many, its
            place is that among the key's. None: no limit.
    """
    async with redis.pipeline(transaction=False) as pipe:
        pipe.get(f"{keys.QUEUE}:clock")
        pipe.get(f"darkroom:flow:new:{account}:{priority}")
        pipe.hget(keys.use(key_id), "running")
        clock, flow, in_work = await pipe.execute()
    tag = max(int(clock or _FIRST_TAG), int(flow or _FIRST_TAG))  # as in `submit.lua`
    lane = keys.lane(priority, 0)
    if running is not None and int(in_work or 0) >= running:
        lane = keys.waiting(key_id)
    before: int = await redis.zcount(lane, "-inf", tag)
    return before + 1
