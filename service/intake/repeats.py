"""Retries of OpenAI's SDKs, which carry a count but no idempotency key.

A retry joins the oldest job of its key and content whose answer never went out
whole, instead of buying another. Two equal calls made on purpose stay two: each job
remembers the highest count that joined it, and a retry of the same count takes the
next one.
"""

import contextlib
from pathlib import Path

from redis.asyncio import Redis
from redis.exceptions import RedisError

from service.core.errors import QueueUnavailable
from service.core.jobs import JobId

_HERE = Path(__file__).parent
_LIFE_MS = 600_000


class Repeats:
    """Calls that are waiting for their answer, by key and content, for ten minutes."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._open = redis.register_script((_HERE / "open.lua").read_text())
        self._join = redis.register_script((_HERE / "join.lua").read_text())

    async def opened(self, job_id: JobId, *, key_id: str, content: str) -> None:
        """Note that a call waits for the job's answer; without Redis, do not."""
        with contextlib.suppress(RedisError, OSError):
            await self._open(keys=[_calls(key_id, content)], args=[job_id, _LIFE_MS])

    async def join(self, *, key_id: str, content: str, count: int) -> JobId | None:
        """Return the job that retry number `count` waits on; None: make a new one.

        Raises:
            QueueUnavailable: Redis is away.
        """
        try:
            found = await self._join(
                keys=[_calls(key_id, content)], args=[count, _LIFE_MS]
            )
        except (RedisError, OSError) as exc:
            raise QueueUnavailable("the queue is not available") from exc
        return None if found is None else JobId(found.decode())

    async def answered(self, job_id: JobId, *, key_id: str, content: str) -> None:
        """Note that the answer went out whole; without Redis, do not."""
        with contextlib.suppress(RedisError, OSError):
            await self._redis.hdel(_calls(key_id, content), job_id)  # type: ignore[misc]


def _calls(key_id: str, content: str) -> str:
    return f"darkroom:calls:{key_id}:{content}"
