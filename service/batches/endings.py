"""Ends of batches that do not come by themselves; chores, and harmless when doubled."""

import asyncio
from contextlib import suppress
from datetime import timedelta

import structlog
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from service.batches.batch import line_job_id
from service.batches.scripting import script
from service.batches.segments import folder_of
from service.core.errors import StoreUnavailable
from service.files.records import FileKind, file_id_of
from service.files.writing import DUE
from service.image_store import ImageStore
from service.job_store import keys
from service.job_store.times import ms

log = structlog.get_logger()

_GONE_FOR = timedelta(days=30)
_SOME = 100
_ABREAST = 16
"""Pieces that are deleted at once; a large batch has a thousand."""
_OUTPUTS = (FileKind.OUTPUT, FileKind.ERROR)


class Endings:
    """Calls off, expires and forgets batches.

    Every call may raise RedisError, or StoreUnavailable where lines are to go.

    Args:
        redis: Holds the records.
        images: Holds the lines.
        retention: Jobs that are called off are kept this long.
    """

    def __init__(
        self, redis: Redis, images: ImageStore, *, retention: timedelta
    ) -> None:
        self._redis, self._images = redis, images
        self._retention_ms = ms(retention)
        self._due = script(redis, "due")
        self._call_off = script(redis, "call_off")
        self._drop = script(redis, "drop")
        self._forget = script(redis, "forget")

    async def call_off(self, batch_id: str) -> int:
        """Take what has not begun of a batch that is to end out of the queue.

        Returns how many lines it was.
        """
        over, under_way = 0, await self._redis.smembers(keys.batch(batch_id, "open"))  # type: ignore[misc]
        numbers = sorted(map(int, under_way))
        for at in range(0, len(numbers), _SOME):
            args: list[object] = [batch_id, self._retention_ms]
            for line in numbers[at : at + _SOME]:
                args += [line, line_job_id(batch_id, line)]
            over += await self._call_off(args)
        return over

    async def end_due(self) -> int:
        """Expire batches whose time is over, and go on with those called off.

        Returns how many were looked at.
        """
        ids = [batch_id.decode() for batch_id in await self._due([_SOME])]
        for batch_id in ids:
            try:
                await self.call_off(batch_id)
            except (ResponseError, ValueError) as exc:  # others may be sound
                log.warning("batch.unreadable", batch=batch_id, error=str(exc))
        return len(ids)

    async def drop(self, batch_id: str) -> None:
        """Leave nothing of a batch whose lines did not all come; again is fine."""
        if await self._drop([batch_id]):
            with suppress(StoreUnavailable):  # `forget_due` does it, then
                await self._clear(batch_id)

    async def forget_due(self) -> int:
        """Delete batches whose retention is over, and what was cut on its way in.

        Returns how many: some at a time, none when all is done.
        """
        ids = await self._forget([_SOME, ms(_GONE_FOR)])
        for batch_id in ids:
            await self._clear(batch_id.decode())
        return len(ids)

    async def _clear(self, batch_id: str) -> None:
        found = await self._images.list(folder_of(batch_id))
        for at in range(0, len(found), _ABREAST):
            some = found[at : at + _ABREAST]
            await asyncio.gather(*(self._images.delete(key) for key in some))
        outputs = (file_id_of(batch_id, kind) for kind in _OUTPUTS)
        await self._redis.zadd(DUE, dict.fromkeys(outputs, 0))
        await self._redis.zrem(keys.BATCHES_OVER, batch_id)
