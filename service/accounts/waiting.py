"""Waiting for Redis, but not for ever; what reads accounts has no store of jobs."""

import asyncio
from typing import Any

from redis.exceptions import RedisError

from service.core.errors import QueueUnavailable

_ANSWER_BUDGET_S = 2.8


async def within(work: Any) -> Any:
    """Await a round trip.

    Raises:
        QueueUnavailable: Redis is away, refuses, or takes too long.
    """
    try:
        async with asyncio.timeout(_ANSWER_BUDGET_S):
            return await work
    except (RedisError, OSError) as exc:
        raise QueueUnavailable("the queue is not available") from exc
