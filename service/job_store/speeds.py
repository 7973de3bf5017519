"""How long routes take, as workers measured it; remembered for a few seconds."""

import time
from collections.abc import Mapping, Sequence

from redis.asyncio import Redis

from service.job_store import keys

_TRUST_S = 3.0
_MOST = 10_000


class Speeds:
    """What the successful attempts of late took, by route; for one process."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._known: dict[str, tuple[float | None, float]] = {}

    async def of(self, routes: Sequence[str]) -> Mapping[str, float]:
        """Return milliseconds by route; those nobody has measured today are absent.

        May raise RedisError, but only where what is remembered has grown old.
        """
        now = time.monotonic()
        if len(self._known) > _MOST:  # patterns have as many routes as callers think of
            self._known.clear()
        old = [r for r in routes if self._known.get(r, (None, 0.0))[1] <= now]
        if old:
            found = await self._redis.mget([keys.speed(route) for route in old])
            for route, ms in zip(old, found, strict=True):
                self._known[route] = (None if ms is None else float(ms), now + _TRUST_S)
        known = {route: self._known[route][0] for route in routes}
        return {route: ms for route, ms in known.items() if ms is not None}
