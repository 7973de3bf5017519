"""Batches on their way into the queue: a window of each at a time, in every front door.

A front door that finds a batch with room in its window takes it, submits the next
lines as their callers would, and lets go of it. What fails then fails the line alone;
what is only full or away is tried again.
"""

import asyncio
import contextlib
import itertools
import secrets
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Self

import structlog
from redis.asyncio import Redis

from service.accounts import ApiKey
from service.batches import (
    BadLine,
    Batch,
    BatchState,
    Obstacle,
    Reading,
    StoredLine,
    Unfit,
    line_job_id,
)
from service.core.errors import (
    BatchOver,
    Deleted,
    JobDeleted,
    NotFound,
    RequestError,
    TooMuch,
    Unauthenticated,
    Unavailable,
)
from service.core.requests import Priority
from service.intake import Intake, Terms
from service.intake.batches import Acceptance, told
from service.intake.holding import while_held
from service.intake.spool import Spool
from service.job_store import keys
from service.job_store.listening import end, messages
from service.job_store.records import Place

log = structlog.get_logger()

_AT_ONCE, _OF_AN_ACCOUNT = 8, 4
"""Batches that one front door feeds at a time, so that links that hang hold up only
other batches of the account that sent them there."""
_TURN_S = 1.0
"""For so long a batch is fed before others have their turn."""
_ABREAST = 16
"""Lines of a batch that are submitted together; nobody waits behind many more."""
_LOOK_AGAIN_S = 1.0
_SOON = timedelta(seconds=1)
_LATER = timedelta(seconds=30)
_MOST_CRASHES = 3
"""A line that met a bug so often fails, and the others go on."""
_INTERNAL: dict[str, str | None] = {
    "code": "internal",
    "message": "An internal error; it was logged.",
    "param": None,
}
_UNREAD = BadLine("internal", "An internal error; it was logged.", None, None)
_PASSING = timedelta(seconds=10)
"""What is full for no longer than that is worth waiting for."""


@dataclass(frozen=True, slots=True)
class _Dealt:
    """What came of some lines, up to the first that has to wait.

    Attributes:
        stop: The line behind the last.
        unfit: Those of which no job can be made.
        obstacle: Why one has to wait.
    """

    stop: int
    unfit: Sequence[Unfit]
    obstacle: BaseException | None


class Feeder:
    """Feeds batches for as long as the process lives; use as a context manager.

    Args:
        intake: Makes jobs of lines.
        acceptance: Reads those that lie in files.
        redis: Says when there is something to do.
    """

    def __init__(self, intake: Intake, acceptance: Acceptance, redis: Redis) -> None:
        self._intake, self._acceptance, self._redis = intake, acceptance, redis
        self._batches, self._feeds = acceptance.batches, acceptance.batches.feeds
        name = secrets.token_hex(8)
        self._holders = (f"{name}-{turn}" for turn in itertools.count())
        self._look = asyncio.Event()
        self._at_work: set[asyncio.Task[None]] = set()
        self._accounts = Counter[str]()
        self._loops: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        self._loops = [
            asyncio.create_task(self._run()),
            asyncio.create_task(self._listen()),
        ]
        return self

    async def __aexit__(self, *_: object) -> None:
        await end(self._loops)
        await end(list(self._at_work))

    async def _listen(self) -> None:
        async for _ in messages(self._redis, keys.FEED):
            self._look.set()

    async def _run(self) -> None:
        while True:
            self._look.clear()
            while len(self._at_work) < _AT_ONCE and await self._take():
                pass
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_AGAIN_S):
                    await self._look.wait()

    async def _take(self) -> bool:
        holder = next(self._holders)
        try:
            batch_id = await self._feeds.take(holder)
        except Unavailable:
            return False
        if batch_id is None:
            return False
        task = asyncio.create_task(self._serve(batch_id, holder))
        self._at_work.add(task)
        task.add_done_callback(self._is_done)
        return True

    def _is_done(self, task: "asyncio.Task[None]") -> None:
        self._at_work.discard(task)
        self._look.set()

    async def _serve(self, batch_id: str, holder: str) -> None:
        look_again, obstacle = None, None
        try:
            work = self._work(batch_id, holder)
            look_again = await while_held(work, self._feeds, batch_id, holder=holder)
        except (BatchOver, NotFound, Deleted):
            return
        except (TooMuch, Unavailable) as exc:
            log.debug("batch.delayed", batch=batch_id, code=exc.code)
            look_again, obstacle = _SOON, Obstacle.DELAYS
        except Exception:  # another front door may do better
            log.exception("batch.crashed", batch=batch_id)
            look_again, obstacle = _LATER, Obstacle.CRASHES
        finally:  # where this process ends, too: another goes on at once
            with contextlib.suppress(Unavailable):  # its time runs out, then
                await self._feeds.release(
                    batch_id, holder=holder, look_again=look_again, obstacle=obstacle
                )

    async def _work(self, batch_id: str, holder: str) -> timedelta | None:
        """Do what the batch wants; return when to look again where it has to wait."""
        batch = await self._batches.get(batch_id, account=None)
        if self._accounts[batch.account] >= _OF_AN_ACCOUNT:
            return _SOON
        self._accounts[batch.account] += 1
        try:
            if batch.state is not BatchState.VALIDATING:
                await self._feed(batch, holder)
            elif batch.crashes >= _MOST_CRASHES:
                reading = Reading(errors=[_UNREAD])
                await self._feeds.opened(batch_id, reading, holder=holder)
            else:
                await self._acceptance.read_file(batch, holder=holder)
                log.info("batch.read", batch=batch_id)
        finally:
            self._accounts[batch.account] -= 1
            self._accounts += Counter()  # forgets those that have none
        return None

    async def _feed(self, batch: Batch, holder: str) -> None:
        """Submit lines until the window is full, or others want their turn.

        Raises:
            BatchOver: That were the last ones; or somebody else goes on.
            TooMuch: The key has as many jobs as it may, for the moment.
            Unavailable: Redis or the store is away.
        """
        key = await self._key(batch)
        turn_ends = time.monotonic() + _TURN_S
        unfit = list[Unfit]()
        if batch.crashes >= _MOST_CRASHES:
            lost = line_job_id(batch.id, batch.cursor)
            unfit.append(Unfit(batch.cursor, lost, _INTERNAL))
        given_up = range(batch.cursor, batch.cursor + len(unfit))
        room = await self._feeds.advance(batch.id, given_up, unfit, holder=holder)
        at, abreast = given_up.stop, 1 if batch.delays or batch.crashes else _ABREAST
        while room > 0 and at < batch.total and time.monotonic() < turn_ends:
            lines = range(at, min(at + room, at + abreast, batch.total))
            dealt = await self._deal(batch, lines, key)
            if dealt.stop > at:
                room = await self._feeds.advance(
                    batch.id, range(at, dealt.stop), dealt.unfit, holder=holder
                )
                at = dealt.stop
            if dealt.obstacle is not None:
                raise dealt.obstacle
            abreast = _ABREAST

    async def _key(self, batch: Batch) -> ApiKey | Unauthenticated:
        """Return whose batch it is, or why that is nobody any more."""
        try:
            return await self._acceptance.accounts.find(batch.key_id)
        except Unauthenticated as exc:
            return exc

    async def _deal(
        self, batch: Batch, lines: range, key: ApiKey | Unauthenticated
    ) -> _Dealt:
        stored = await self._batches.lines(batch, lines)
        found = await asyncio.gather(
            *(self._submit(batch, line, stored[line], key) for line in lines),
            return_exceptions=True,
        )
        unfit = list[Unfit]()
        for line, outcome in zip(lines, found, strict=True):
            if isinstance(outcome, BaseException):
                return _Dealt(line, unfit, outcome)
            if outcome is not None:
                unfit.append(outcome)
        return _Dealt(lines.stop, unfit, None)

    async def _submit(
        self, batch: Batch, line: int, stored: StoredLine, key: ApiKey | Unauthenticated
    ) -> Unfit | None:
        """Make a job of a line; return what is wrong where none can be made."""
        job_id = line_job_id(batch.id, line)
        if stored.body is None:
            return Unfit(line, job_id, None)
        place = Place(batch_id=batch.id, line=line, custom_id=stored.custom_id)
        try:
            if isinstance(key, Unauthenticated):
                raise key
            with contextlib.closing(Spool()) as spool:
                drafted = await self._acceptance.reader.draft(
                    stored.body, endpoint=batch.endpoint, spool=spool
                )
                terms = Terms(
                    priority=Priority.BATCH, metadata=drafted.metadata, place=place
                )
                await self._intake.submit(
                    drafted.draft,
                    key=key,
                    terms=terms,
                    operation=drafted.operation,
                    uploads=drafted.uploads,
                )
        except JobDeleted:
            return None
        except RequestError as exc:
            if isinstance(exc, BatchOver) or _passes(exc):
                raise
            return Unfit(line, job_id, told(exc))
        return None


def _passes(exc: RequestError) -> bool:
    """Whether it is worth waiting for: too many jobs, or units that may come back."""
    return isinstance(exc, TooMuch) and exc.retry_after <= _PASSING
