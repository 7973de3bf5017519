"""Where in the queue a job would stand if it were submitted now."""

from redis.asyncio import Redis

from service.core.requests import Priority
from service.job_store import keys

_FIRST_TAG = -(2**52)


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
