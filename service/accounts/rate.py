"""How many submissions a key may make per minute, counted in Redis by GCRA.

A key that was idle may send a whole minute's worth at once; what follows passes
evenly spread over the minute.
"""

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from redis.asyncio import Redis

from service.core.errors import TooMuch

_SOURCE = (Path(__file__).parent / "rate.lua").read_text()
_WINDOW_US = 60_000_000


@dataclass(frozen=True, slots=True)
class Allowance:
    """What is left to a key that has a rate.

    Attributes:
        limit: Submissions per minute.
        remaining: How many could be sent right now.
        reset: When all of them could be sent again.
    """

    limit: int
    remaining: int
    reset: timedelta


class RateExceeded(TooMuch):
    """The key sent too many; carries what clients are told about their rate."""

    def __init__(self, allowance: Allowance, *, retry_after: timedelta) -> None:
        super().__init__(
            f"this key may send {allowance.limit} requests per minute",
            code="rate_limited",
            retry_after=retry_after,
        )
        self.allowance = allowance


class Rate:
    """Counts over all front doors, by Redis's clock."""

    def __init__(self, redis: Redis) -> None:
        self._script = redis.register_script(_SOURCE)

    async def take(self, key_id: str, *, per_minute: int) -> Allowance:
        """Count one submission of the key.

        Raises:
            RateExceeded: It was one too many, and was not counted.
            RedisError: Redis is away.
        """
        refused, remaining, reset_us, wait_us = await self._script(
            keys=[f"darkroom:rate:{key_id}"], args=[per_minute, _WINDOW_US]
        )
        allowance = Allowance(per_minute, remaining, timedelta(microseconds=reset_us))
        if refused:
            raise RateExceeded(allowance, retry_after=timedelta(microseconds=wait_us))
        return allowance
