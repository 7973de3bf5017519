"""Times and durations as records hold them: whole milliseconds, by Redis's clock."""

from datetime import UTC, datetime, timedelta
from typing import Any

from redis.asyncio import Redis


def ms(duration: timedelta) -> int:
    """Return a duration as the scripts take it."""
    return duration // timedelta(milliseconds=1)


def time_of(stored_ms: str | bytes | int) -> datetime:
    """Return the time that a record holds."""
    return datetime.fromtimestamp(int(stored_ms) / 1000, tz=UTC)


def maybe_time_of(stored_ms: str | bytes | None) -> datetime | None:
    """Return the time that a record holds, if it holds one."""
    return time_of(stored_ms) if stored_ms else None


async def redis_now_ms(redis: Redis) -> int:
    """Return what Redis's clock shows; may raise RedisError."""
    return clock_ms(await redis.time())


def clock_ms(answer: Any) -> int:
    """Return what Redis's clock showed, by its answer to TIME."""
    seconds, micros = answer
    return int(seconds) * 1000 + int(micros) // 1000
