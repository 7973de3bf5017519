"""Chores: what nobody waits for, done by whichever worker comes first.

Each chore has a period; the worker that takes its key in Redis does it this time.
Two doing it at once would be harmless: every step behind it may run twice.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Self

import structlog
from redis.asyncio import Redis
from redis.exceptions import OutOfMemoryError, RedisError

from service.batches import Endings
from service.core.errors import Unavailable
from service.files import Files
from service.image_store import ImageStore
from service.image_store.proof import clear
from service.job_store import keys
from service.job_store.listening import end
from service.job_store.scripting import script
from service.job_store.times import ms, redis_now_ms

log = structlog.get_logger()

_SOME = 100
_SCAN = 1000
_MOST_COUNTED = 3000
"""Entries, in one step: some 20 ms of Redis, once a minute."""
_TICK_S = 1.0
_GONE_FOR = timedelta(days=30)
_SILENCE = timedelta(minutes=15)
_SLOW = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class _Chore:
    name: str
    period: timedelta
    work: Callable[[], Awaitable[None]]


class Sweep:
    """Expires, repairs and forgets jobs; runs in every worker process.

    A context manager that does each chore when it is due, until it is left; none
    waits for another.
    """

    def __init__(
        self, redis: Redis, images: ImageStore, *, retention: timedelta
    ) -> None:
        self._redis, self._images = redis, images
        self._files = Files(redis, images)
        self._batches = Endings(redis, images, retention=retention)
        self._retention_ms = ms(retention)
        self._expire = script(redis, "expire")
        self._audit = script(redis, "audit")
        self._repair = script(redis, "repair")
        self._recount = script(redis, "recount")
        self._due = script(redis, "due")
        self._forget = script(redis, "forget")
        self._purge = script(redis, "purge")
        self._chores = (
            _Chore("expire", timedelta(seconds=1), self.expire),
            _Chore("repair", timedelta(seconds=5), self.repair),
            _Chore("recount", timedelta(seconds=60), self.recount),
            _Chore("retain", timedelta(seconds=60), self.forget_old),
            _Chore("batches", timedelta(seconds=1), self.end_batches),
            _Chore("segments", timedelta(seconds=60), self.forget_batches),
            _Chore("files", timedelta(seconds=60), self.forget_files),
            _Chore("checks", timedelta(hours=1), self.forget_checks),
            _Chore("purge", timedelta(seconds=15), self.purge_delivered),
            _Chore("mourn", timedelta(seconds=60), self.forget_workers),
        )
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        self._tasks = [asyncio.create_task(self._repeat(one)) for one in self._chores]
        return self

    async def __aexit__(self, *_: object) -> None:
        await end(self._tasks)

    async def _repeat(self, chore: _Chore) -> None:
        while True:
            try:
                if await self._is_ours(chore):
                    await chore.work()
            except (RedisError, OSError, Unavailable) as exc:
                log.warning("chore.failed", chore=chore.name, error=type(exc).__name__)
            except Exception:  # the next time may find another world
                log.exception("chore.crashed", chore=chore.name)
            await asyncio.sleep(_TICK_S)

    async def expire(self) -> None:
        """End queued jobs whose deadline has passed."""
        while expired := await self._expire([_SOME, self._retention_ms]):
            log.info("jobs.expired", jobs=len(expired))

    async def repair(self) -> None:
        """Put back entries that something else threw out of the queue.

        Counting tells whether any is missing; only then are the records walked.
        """
        broken = await self._redis.zcard(keys.BROKEN)
        if broken:
            log.error("entries.broken", entries=broken)
        missing: int = await self._audit([])
        if missing <= 0:
            return
        healed, cursor, prefix = 0, 0, keys.job("")
        while healed < missing:
            cursor, found = await self._redis.scan(
                cursor, match=f"{prefix}*", count=_SCAN
            )
            ids = [key.decode().removeprefix(prefix) for key in found]
            healed += len(await self._repair(ids)) if ids else 0
            if cursor == 0:
                await self._uncount(missing - healed)
                break
        log.error("entries.restored", entries=healed, missing=missing)

    async def _uncount(self, unfound: int) -> None:
        """Count no more jobs than there are, now that all records were looked at."""
        if unfound > 0 and await self._audit([]) == unfound:
            await self._redis.decrby(f"{keys.QUEUE}:open", unfound)

    async def recount(self) -> None:
        """Put right what steps that broke off left in the numbers of keys and gates."""
        key_ids = await self._redis.hkeys(keys.API_KEYS)  # type: ignore[misc]
        for at in range(0, max(1, len(key_ids)), _SCAN):
            wrong = await self._recount([_MOST_COUNTED, *key_ids[at : at + _SCAN]])
            if wrong > 0:
                log.error("numbers.corrected", numbers=wrong)

    async def forget_old(self) -> None:
        """Delete images, then records, of jobs whose retention is over.

        Images that came with a request which never became a job go the same way.
        """
        looked_at = _SOME
        while looked_at == _SOME:
            looked_at, *found = await self._due([_SOME])
            ids = [job_id.decode() for job_id in found]
            await self._clear(ids)
            await self._forget([ms(_GONE_FOR), *ids])
            if ids:
                log.info("jobs.forgotten", jobs=len(ids))

    async def forget_files(self) -> None:
        """Delete files that have expired, and uploads that nobody finished."""
        while gone := await self._files.forget_due():
            log.info("files.forgotten", files=gone)

    async def forget_checks(self) -> None:
        """Delete what checks of the store could not delete when they were made."""
        if left := await clear(self._images):
            log.info("checks.forgotten", checks=left)

    async def end_batches(self) -> None:
        """Expire batches whose time is over; go on with what is called off."""
        if seen := await self._batches.end_due():
            log.info("batches.ending", batches=seen)

    async def forget_batches(self) -> None:
        """Delete batches whose retention is over, and what was cut on its way in."""
        while gone := await self._batches.forget_due():
            log.info("batches.forgotten", batches=gone)

    async def purge_delivered(self) -> None:
        """Remove what is left of ephemeral jobs nobody came for any more."""
        while ids := await self._uncalled_for():
            await self._clear(ids)
            await self._purge(ids)
            log.info("jobs.purged", jobs=len(ids))

    async def _uncalled_for(self) -> list[str]:
        now_ms = await redis_now_ms(self._redis)  # no host's clock deletes anything
        found: list[bytes] = await self._redis.zrangebyscore(
            keys.EPHEMERAL, "-inf", now_ms, start=0, num=_SOME
        )
        return [job_id.decode() for job_id in found]

    async def _clear(self, ids: list[str]) -> None:
        for job_id in ids:
            for key in await self._images.list(f"jobs/{job_id}/"):
                await self._images.delete(key)

    async def forget_workers(self) -> None:
        """Strike off workers that were killed; the others sign off themselves."""
        silent_since_ms = await redis_now_ms(self._redis) - ms(_SILENCE)
        await self._redis.zremrangebyscore(keys.WORKERS, "-inf", silent_since_ms)

    async def _is_ours(self, chore: _Chore) -> bool:
        period_ms = ms(chore.period)
        key = keys.sweep(chore.name)
        try:
            return bool(await self._redis.set(key, b"1", px=period_ms, nx=True))
        except OutOfMemoryError:  # what frees memory must not need any
            return chore.period >= _SLOW
