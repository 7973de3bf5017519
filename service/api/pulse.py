"""Looks after Redis, the store and the workers, so that `/readyz` need not wait.

Redis is written to, because one that only reads (a replica, a full one) answers a
PING as if nothing were wrong.
"""

import asyncio
import time
from typing import Any, Self

import structlog
from redis.exceptions import RedisError

from service.backends import Backends
from service.catalog_file import LiveCatalog
from service.core.errors import QueueUnavailable, StoreUnavailable
from service.job_store import keys
from service.job_store.fleet import Fleet
from service.job_store.listening import end

log = structlog.get_logger()

_BEAT_S = 5.0
_STORE_EVERY_S = 10.0
_STORE_ANSWER_S = 4.0
_ANSWER_S = 2.8


class Pulse:
    """What was seen last; a context manager that looks again until it is left.

    Args:
        beat_s: Between two looks at Redis; two missed ones make it unready.
    """

    def __init__(
        self,
        backends: Backends,
        fleet: Fleet,
        live: LiveCatalog,
        *,
        beat_s: float = _BEAT_S,
    ) -> None:
        self._redis, self._jobs = backends.redis, backends.jobs
        self._images, self._fleet, self._live = backends.images, fleet, live
        self._beat_s = beat_s
        self._good_at = float("-inf")
        self._tasks: list[asyncio.Task[None]] = []
        self._open_jobs, self._store = 0, "unknown"
        self.draining = False

    async def __aenter__(self) -> Self:
        await self._beat()
        self._tasks = [
            asyncio.create_task(self._look_after_redis()),
            asyncio.create_task(self._look_after_store()),
        ]
        return self

    async def __aexit__(self, *_: object) -> None:
        await end(self._tasks)

    @property
    def takes_writes(self) -> bool:
        """Whether Redis took a write lately."""
        return time.monotonic() - self._good_at <= 2 * self._beat_s + 1

    @property
    def is_ready(self) -> bool:
        """Whether new requests should come here."""
        return self.takes_writes and not self.draining

    def report(self) -> dict[str, Any]:
        """Return all of it, as `/readyz` shows it."""
        workers = self._fleet.workers
        return {
            "status": "ready" if self.is_ready else "not_ready",
            "draining": self.draining,
            "queue": "ok" if self.takes_writes else "unavailable",
            "store": self._store,
            "workers": workers,
            "open_jobs": self._open_jobs,
            "starving": self._open_jobs > 0 and workers == 0,
        }

    async def _look_after_redis(self) -> None:
        while True:
            await asyncio.sleep(self._beat_s)
            await self._beat()

    async def _look_after_store(self) -> None:
        while True:
            try:
                async with asyncio.timeout(_STORE_ANSWER_S):
                    await self._images.check()
            except (StoreUnavailable, TimeoutError) as exc:
                self._store = "unavailable"
                log.warning("store.failed", reason=str(exc) or "no answer in time")
            else:
                self._store = "ok"
            await asyncio.sleep(_STORE_EVERY_S)

    async def _beat(self) -> None:
        try:
            await self._jobs.ping()
            self._good_at = time.monotonic()
            await self._count()
        except (QueueUnavailable, RedisError, OSError) as exc:
            cause = exc.__cause__ or exc
            log.warning("canary.failed", reason=str(cause) or "no answer in time")

    async def _count(self) -> None:
        async with asyncio.timeout(_ANSWER_S):
            await self._fleet.look(self._live.current.providers)
            self._open_jobs = int(await self._redis.get(f"{keys.QUEUE}:open") or 0)
