"""Waiting for Redis, but not for ever; and what its absence means to a caller."""

import asyncio
from typing import Any

from redis.exceptions import RedisError

from service.core.errors import QueueUnavailable

ANSWER_BUDGET_S = 2.8


async def within(work: Any) -> Any:
    """Await a round trip.

    Raises:
        QueueUnavailable: Redis is away, refuses, or takes too long.
    """
    return await told(_in_time(work))


async def told(work: Any) -> Any:
    """Await a shared round trip, which has an end of its own.

    Raises:
        QueueUnavailable: Redis is away or refuses.
    """
    try:
        return await work
    except (RedisError, OSError) as exc:
        raise QueueUnavailable("the queue is not available") from exc


async def _in_time(work: Any) -> Any:
    async with asyncio.timeout(ANSWER_BUDGET_S):
        return await work
