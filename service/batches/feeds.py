"""The side of whoever reads the lines of a batch, and makes jobs of them.

One front door at a time holds a batch, and says every few seconds that it lives; if it
dies, another goes on where it was. What it does twice makes nothing twice.
"""

from collections.abc import Sequence
from datetime import timedelta
from enum import StrEnum
from typing import NamedTuple

import orjson
from redis.asyncio import Redis

from service.batches.batch import BadLine, Batch
from service.batches.records import read_pairs
from service.batches.scripting import script
from service.core.errors import BatchOver
from service.core.jobs import JobId
from service.job_store.answers import ANSWER_BUDGET_S, within
from service.job_store.times import ms

READ_AGAIN = timedelta(minutes=10)
"""Lines that come with a request must go on within it, or the batch is dropped."""
HOLD = timedelta(seconds=15)
"""A dead front door's batches are taken over after it."""


class Reading(NamedTuple):
    """What was found when all lines of a batch were read.

    Attributes:
        total: How many lines there are, the sound and the bad ones.
        segments: The first line of each piece in the store.
        errors: What is wrong with the first hundred bad ones.
        bad: How many there are.
        digest: Of the lines as they came.
    """

    total: int = 0
    segments: Sequence[int] = ()
    errors: Sequence[BadLine] = ()
    bad: int = 0
    digest: str = ""


class Obstacle(StrEnum):
    """What keeps a batch from coming on."""

    DELAYS = "delays"
    """Something is full, or away."""
    CRASHES = "crashes"
    """Its next line met a bug."""


class Unfit(NamedTuple):
    """A line of which no job can be made.

    Attributes:
        line: Its number, from 0.
        job_id: What its job would be called.
        error: `code`, `message` and `param`; None: the stored line tells.
    """

    line: int
    job_id: JobId
    error: dict[str, str | None] | None


class Feeds:
    """Hands out batches, and notes how far they are.

    A `holder` is the name under which a batch was taken; '' means the request that
    brings its lines, which nobody else can read. Every call may raise
    QueueUnavailable.
    """

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._take = script(redis, "take")
        self._beat = script(redis, "beat")
        self._open = script(redis, "open")
        self._advance = script(redis, "advance")
        self._release = script(redis, "release")

    async def take(self, holder: str) -> str | None:
        """Return a batch whose lines are to be read or submitted, for `HOLD`."""
        found = await within(self._take([holder, ms(HOLD)]))
        return None if found is None else str(found.decode())

    async def keep_alive(self, batch_id: str, *, holder: str = "") -> None:
        """Say that somebody still works on it.

        Raises:
            BatchOver: There is nothing left to do, or somebody else does it.
        """
        patience = HOLD if holder else READ_AGAIN
        if not await within(self._beat([batch_id, holder, ms(patience)])):
            raise _over()

    async def opened(
        self, batch_id: str, reading: Reading, *, holder: str = ""
    ) -> Batch:
        """Let a batch begin whose lines are all read, or fail where none is sound.

        Returns:
            The batch as it is then.

        Raises:
            BatchOver: It was called off, or somebody else reads it.
        """
        fields = {
            "segments": orjson.dumps(list(reading.segments)),
            "errors": orjson.dumps([list(error) for error in reading.errors]),
            "bad": reading.bad,
            "digest": reading.digest,
        }
        sound = reading.total - reading.bad
        args = [batch_id, holder, reading.total, sound]
        args.append("" if holder else await self._until())
        args += [part for pair in fields.items() for part in pair]
        if found := await within(self._open(args)):
            return read_pairs(batch_id, found)
        raise _over()

    async def _until(self) -> int:
        """Return when nobody waits for an answer any more, in Redis's time."""
        seconds, micros = await within(self._redis.time())
        return int(seconds * 1000 + micros // 1000 + ANSWER_BUDGET_S * 1000)

    async def advance(
        self, batch_id: str, lines: range, unfit: Sequence[Unfit], *, holder: str
    ) -> int:
        """Note that these lines, the next ones, were dealt with.

        Args:
            batch_id: Of which batch.
            lines: Without a gap.
            unfit: Those of which no job could be made.
            holder: Who holds it.

        Returns:
            How many more may be under way.

        Raises:
            BatchOver: There is nothing left to do, or somebody else does it.
        """
        args = [batch_id, holder, ms(HOLD), lines.start, lines.stop]
        for each in unfit:
            error = b"" if each.error is None else orjson.dumps(each.error)
            args += [each.line, each.job_id, error]
        room = int(await within(self._advance(args)))
        if room < 0:
            raise _over()
        return room

    async def release(
        self,
        batch_id: str,
        *,
        holder: str,
        look_again: timedelta | None = None,
        obstacle: Obstacle | None = None,
    ) -> None:
        """Let go of it.

        Args:
            batch_id: Which.
            holder: Who holds it; nothing happens where that is somebody else.
            look_again: When somebody is to try again; None: when its window is half
                empty.
            obstacle: What stood in the way; each time that it does so in a row,
                `look_again` is twice as far away, up to half a minute.
        """
        wait_ms = 0 if look_again is None else max(1, ms(look_again))
        await within(self._release([batch_id, holder, wait_ms, obstacle or ""]))


def _over() -> BatchOver:
    return BatchOver("the batch has ended, or somebody else goes on with it")
