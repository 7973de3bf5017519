"""How far an attempt has come: told now and then, and never waited for."""

import asyncio
import time

import structlog
from redis.exceptions import RedisError

from service.job_store.lease import Lease
from service.job_store.leases import Leases

log = structlog.get_logger()

_EVERY_S = 0.95
"""About a second; a loop's clock may be early."""
_STEP = 0.01


class Progress:
    """Of one attempt; what is noted too soon behind the last is dropped."""

    def __init__(self, leases: Leases, lease: Lease) -> None:
        self._leases, self._lease = leases, lease
        self._told, self._told_at = 0.0, float("-inf")
        self._telling: asyncio.Task[None] | None = None

    def note(self, progress: float) -> None:
        """Say how far it has come; see `Call.progress`."""
        progress = min(progress, 1.0)
        now = time.monotonic()
        if not progress - self._told >= _STEP or now - self._told_at < _EVERY_S:
            return
        if self._telling is not None and not self._telling.done():
            return
        self._told, self._told_at = progress, now
        self._telling = asyncio.create_task(self._tell(progress))

    def close(self) -> None:
        """Tell nothing more: how it ended says all."""
        if self._telling is not None:
            self._telling.cancel()

    async def _tell(self, progress: float) -> None:
        try:
            await self._leases.advance(self._lease, progress)
        except (RedisError, OSError) as exc:
            log.warning("progress.dropped", error=type(exc).__name__)
