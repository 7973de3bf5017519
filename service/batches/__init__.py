"""Batches of accounts: many requests at once, of which few are in the queue at a time.

The lines lie in the image store, a thousand in a piece (`segments`); Redis holds how
many there are, how far they were fed, which are under way, and in which order the
others ended. A line becomes a job when its turn comes, under an id that follows from
the batch and its number; what one came to is read from the job, and stored nowhere
else. `service.job_store.keys` names the keys.
"""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any, NamedTuple

import orjson
from redis.asyncio import Redis

from service.batches.batch import (
    BadLine,
    Batch,
    BatchKind,
    BatchState,
    NewBatch,
    is_batch_id,
    line_job_id,
    new_batch_id,
)
from service.batches.endings import Endings
from service.batches.feeds import READ_AGAIN, Feeds, Obstacle, Reading, Unfit
from service.batches.records import read_batch, read_pairs, to_record
from service.batches.scripting import script
from service.batches.segments import Segments, SegmentWriter, StoredLine
from service.core.errors import (
    AlreadyFinished,
    BatchDeleted,
    BatchNotFound,
)
from service.image_store import ImageStore
from service.job_store import keys
from service.job_store.answers import told, within
from service.job_store.listing import newest
from service.job_store.submitting import mismatch
from service.job_store.times import ms

__all__ = [
    "BadLine",
    "Batch",
    "BatchKind",
    "BatchState",
    "Batches",
    "Begun",
    "Endings",
    "Feeds",
    "NewBatch",
    "Obstacle",
    "Page",
    "Reading",
    "SegmentWriter",
    "StoredLine",
    "Unfit",
    "is_batch_id",
    "line_job_id",
]


class Begun(NamedTuple):
    """A batch that is written down: `joined` means by an earlier call of that name."""

    batch: Batch
    joined: bool


class Page(NamedTuple):
    """Batches newest first; `more` when older ones follow."""

    batches: tuple[Batch, ...]
    more: bool


class Batches:
    """The batches of all accounts.

    Every call may raise QueueUnavailable (Redis is away). Somebody else's batch is like
    one that never was.

    Args:
        redis: Holds the records.
        images: Holds the lines, under `batches/`.
        window: Most lines of one batch that have jobs under way.
        retention: Batches are kept this long behind their end.
        idempotency: How long a caller's name for one is remembered.

    Attributes:
        feeds: For whoever reads lines, and makes jobs of them.
    """

    def __init__(
        self,
        redis: Redis,
        images: ImageStore,
        *,
        window: int = 1000,
        retention: timedelta = timedelta(days=7),
        idempotency: timedelta = timedelta(days=1),
    ) -> None:
        self._redis, self._images, self._window = redis, images, window
        self._retention, self._idempotency = retention, idempotency
        self.feeds = Feeds(redis)
        self._segments = Segments(images)
        self._endings = Endings(redis, images, retention=retention)
        self._begin = script(redis, "begin")
        self._cancel = script(redis, "cancel")

    async def begin(self, new: NewBatch) -> Begun:
        """Write a batch down whose lines are still to be read: it is `validating`.

        Lines in a file are read behind the scenes, by whichever front door takes the
        batch. Those of a native batch its caller brings, to `Acceptance.take`; begun
        anew under the same name before all were there, it takes the place of what was
        begun before, whose reader then gets a BatchOver.

        Raises:
            IdempotencyMismatch: The name was used for a batch with other content.
        """
        fields = to_record(new)
        args: list[Any] = [new_batch_id(), new.account, new.kind.value]
        args += [ms(new.expires_after), ms(self._retention), self._window]
        args += [new.name or "", new.content_hash, ms(self._idempotency)]
        args += [ms(READ_AGAIN), *(part for pair in fields.items() for part in pair)]
        code, found, *record = await within(self._begin(args))
        if code == b"mismatch":
            raise mismatch()
        batch = read_pairs(found.decode(), *record)
        return Begun(batch, joined=code == b"joined")

    async def get(self, batch_id: str, *, account: str | None) -> Batch:
        """Return the batch as it stands, if it is the account's (None: anybody's).

        Raises:
            BatchNotFound: Never made, or somebody else's.
            BatchDeleted: It was the account's.
        """
        if not is_batch_id(batch_id):
            raise BatchNotFound("no such batch")
        async with self._redis.pipeline(transaction=False) as pipe:
            pipe.hgetall(keys.batch(batch_id))
            pipe.get(keys.gone(batch_id))
            stored, gone = await within(pipe.execute())
        owner = (stored.get(b"account") or gone or b"").decode()
        if not owner or account not in {None, owner}:
            raise BatchNotFound("no such batch")
        if not stored:
            raise BatchDeleted("this batch was deleted")
        return read_batch(batch_id, stored)

    async def page(self, account: str, *, limit: int, after: str | None = None) -> Page:
        """Return up to `limit` batches, newest first, behind batch `after`.

        Raises:
            BatchNotFound: `after` is not a batch of the account.
        """
        listing = keys.batches_of(account)
        listed = await newest(
            self._redis, listing, self._some, limit=limit, after=after
        )
        if listed is None:
            raise BatchNotFound("no such batch")
        return Page(listed.found, more=listed.more)

    async def cancel(self, batch_id: str, *, account: str) -> Batch:
        """Let nothing more of the batch begin; what has begun goes on to its end.

        It is `cancelling` until then. Twice is the same as once.

        Raises:
            BatchNotFound: Never made, or somebody else's.
            BatchDeleted: It was the account's.
            AlreadyFinished: It has another final state.
        """
        await self.get(batch_id, account=account)
        answer = await within(self._cancel([batch_id, account]))
        if answer == b"final":
            raise AlreadyFinished("this batch has already ended")
        await told(self._endings.call_off(batch_id))
        return await self.get(batch_id, account=account)

    async def drop(self, batch_id: str) -> None:
        """Leave nothing of a batch whose lines did not all come; again is fine."""
        await told(self._endings.drop(batch_id))

    def writer(self, batch_id: str) -> SegmentWriter:
        """Return what takes the lines of a batch that is validating."""
        return SegmentWriter(self._images, batch_id)

    async def lines(
        self, batch: Batch, numbers: Iterable[int]
    ) -> dict[int, StoredLine]:
        """Return lines as they were validated, by number, from 0.

        Raises:
            StoreUnavailable: The store did not answer.
        """
        return await self._segments.lines(batch, numbers)

    async def done(self, batch: Batch, *, after: int, limit: int) -> Sequence[int]:
        """Return numbers of lines in the order in which they ended.

        The lines of a batch that has ended which never began come behind them.

        Args:
            batch: Of which batch.
            after: How many to leave out; what was read stays where it is.
            limit: Most of them.
        """
        key = keys.batch(batch.id, "done")
        async with self._redis.pipeline(transaction=False) as pipe:
            pipe.lrange(key, after, after + limit - 1)
            pipe.llen(key)
            if batch.never_begun:
                # At most a window was under way when its last feeder was stopped.
                pipe.lrange(key, -batch.window, -1)
            found, over, *last = await within(pipe.execute())
        numbers = [int(number) for number in found]
        if last:
            start = max(0, after - over)
            numbers += _left(batch.never_begun, set(map(int, last[0])), start, limit)
        return numbers[:limit]

    async def ended(self, batch: Batch, places: Sequence[int]) -> Sequence[int]:
        """Return the lines at these places of the order in which they ended, from 0.

        Places of lines that have not ended are passed over.
        """
        key = keys.batch(batch.id, "done")
        async with self._redis.pipeline(transaction=False) as pipe:
            for place in places:
                pipe.lindex(key, place)
            found = await within(pipe.execute())
        return [int(line) for line in found if line is not None]

    async def bad(
        self, batch: Batch, numbers: Iterable[int]
    ) -> dict[int, dict[str, Any]]:
        """Return why no job could be made of lines that were sound, by number.

        Of all others nothing is returned: they have a job, or a stored error.
        """
        asked, key = list(numbers), keys.batch(batch.id, "bad")
        async with self._redis.pipeline(transaction=False) as pipe:
            for number in asked:
                pipe.zrangebyscore(key, number, "+inf", start=0, num=1)
            found = await within(pipe.execute())
        errors = {}
        for number, stretch in zip(asked, found, strict=True):
            first, error = orjson.loads(stretch[0]) if stretch else (number + 1, "")
            if first <= number:
                errors[number] = orjson.loads(error)
        return errors

    async def _some(self, ids: Sequence[str]) -> list[Batch]:
        async with self._redis.pipeline(transaction=False) as pipe:
            for batch_id in ids:
                pipe.hgetall(keys.batch(batch_id))
            records = await within(pipe.execute())
        return [read_batch(i, r) for i, r in zip(ids, records, strict=True) if r]


def _left(lines: range, over: set[int], start: int, limit: int) -> list[int]:
    """Return some of `lines`, but for the few first ones that are over."""
    edge = max((line + 1 for line in over if line in lines), default=lines.start)
    first = [line for line in range(lines.start, edge) if line not in over]
    rest = range(edge, lines.stop)[max(0, start - len(first)) :]
    return [*first[start:], *rest[:limit]]
