"""Everybody who follows events at this process, from the first byte to the last."""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Iterator
from contextlib import AbstractContextManager
from datetime import timedelta
from typing import Self

import structlog
from redis.asyncio import Redis

from service.core.errors import TooMuch
from service.events.follower import Follower, Reason
from service.events.log import EventLog
from service.events.reader import Reader, Show
from service.job_store.listening import end

log = structlog.get_logger()

_LONGEST_S = 3600.0
_MOST_OFTEN_S = 1.0
_COMMENT = b": still here\n\n"
_SOON = timedelta(seconds=5)


class Seat:
    """A place that is kept for one follower."""

    def __init__(self, hub: "EventHub", key_id: str) -> None:
        self._hub, self._key_id = hub, key_id
        self.is_taken = False

    def take(
        self, follower: Follower, transport: asyncio.Transport, first: bytes
    ) -> None:
        """Let the follower have the socket, and send it `first`."""
        self.is_taken = True
        self._hub.begin(follower, transport, first)


class EventHub:
    """All followers; a context manager that cuts them off when it is left.

    Args:
        redis: One connection of it listens for nudges.
        show: See `Show`.
        is_good: Whether a key, by its id, may still be told anything.
        heartbeat_s: Nobody hears nothing for longer.
        write_s: Whoever takes nothing for so long is cut off.
        longest_s: Nobody follows longer, but comes again, and shows his key anew.
    """

    def __init__(
        self,
        redis: Redis,
        show: Show,
        is_good: Callable[[str], Awaitable[bool]],
        *,
        heartbeat_s: float,
        write_s: float,
        longest_s: float = _LONGEST_S,
    ) -> None:
        self._heartbeat_s, self._write_s = heartbeat_s, write_s
        self._beat_s = min(_MOST_OFTEN_S, heartbeat_s / 4)
        self._longest_s, self._is_good = longest_s, is_good
        self.log = EventLog(redis)
        self._reader = Reader(redis, show)
        self._followers: set[Follower] = set()
        self._seats: Counter[str] = Counter()
        self._is_draining = False
        self._deserted = asyncio.Event()
        self._deserted.set()
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        keeping = (self._look_after, self._check_keys)
        loops = (self._reader.listen, self._reader.read, *keeping)
        self._tasks = [asyncio.create_task(loop()) for loop in loops]
        return self

    async def __aexit__(self, *_: object) -> None:
        await end(self._tasks)
        for follower in tuple(self._followers):
            follower.cut(Reason.DRAINING)

    @property
    def followers(self) -> Collection[Follower]:
        """Everybody who follows just now."""
        return self._followers

    def watched(self, account: str) -> AbstractContextManager[asyncio.Event]:
        """Set the event whenever something happened in the account.

        A lost publish is not healed: look once in a while, too.
        """
        return self._reader.watched(account)

    @contextlib.contextmanager
    def seat(self, key_id: str, *, most: int) -> Iterator[Seat]:
        """Keep a place until it is taken; one that is not is free again.

        Raises:
            TooMuch: The key has as many as it may (`too_many_streams`).
        """
        if self._seats[key_id] >= most:
            raise TooMuch(
                f"this key follows {most:,} streams of events already",
                code="too_many_streams",
                retry_after=_SOON,
            )
        self._seats[key_id] += 1
        seat = Seat(self, key_id)
        try:
            yield seat
        finally:
            if not seat.is_taken:
                self._free(key_id)

    def begin(
        self, follower: Follower, transport: asyncio.Transport, first: bytes
    ) -> None:
        """Take in a follower that has a seat."""
        self._followers.add(follower)
        self._deserted.clear()
        follower.begin(transport, self)
        follower.send(first, now=time.monotonic())
        self._reader.join(follower)
        if self._is_draining:
            follower.end(Reason.DRAINING)

    def drain(self) -> None:
        """Send everybody away, at once: their clients come again, elsewhere."""
        self._is_draining = True
        self._reader.rouse()
        for follower in tuple(self._followers):
            follower.end(Reason.DRAINING)

    async def drained(self) -> None:
        """Return when nobody follows."""
        await self._deserted.wait()

    def caught_breath(self, follower: Follower) -> None:
        """See `Keeper`."""
        if follower.is_behind:
            self._reader.look_at(follower.interest.account)

    def gone(self, follower: Follower) -> None:
        """See `Keeper`."""
        self._followers.discard(follower)
        if not self._followers:
            self._deserted.set()
        self._reader.leave(follower)
        self._free(follower.caller.key_id)
        log.info(
            "stream.ended",
            request_id=follower.caller.request_id,
            key_id=follower.caller.key_id,
            account=follower.interest.account,
            reason=follower.reason,
            events=follower.told,
            s=round(time.monotonic() - follower.begun_at, 1),
        )

    def _free(self, key_id: str) -> None:
        self._seats[key_id] -= 1
        if not self._seats[key_id]:
            del self._seats[key_id]

    async def _look_after(self) -> None:
        """Send comments to the quiet, and cut off who takes nothing."""
        while True:
            await asyncio.sleep(self._beat_s)
            now = time.monotonic()
            for follower in tuple(self._followers):
                if follower.stuck_since is not None:
                    if now - follower.stuck_since > self._write_s:
                        follower.cut(Reason.SLOW)
                elif now - follower.begun_at > self._longest_s:
                    follower.end(Reason.OLD)
                elif now - follower.spoke_at > self._heartbeat_s - self._beat_s:
                    follower.send(_COMMENT, now=now)

    async def _check_keys(self) -> None:
        """Tell nobody more whose key was revoked, or has expired."""
        while True:
            await asyncio.sleep(self._beat_s)
            for key_id in {follower.caller.key_id for follower in self._followers}:
                if not await self._is_good(key_id):
                    self._lock_out(key_id)

    def _lock_out(self, key_id: str) -> None:
        for follower in tuple(self._followers):
            if follower.caller.key_id == key_id:
                follower.end(Reason.REVOKED)
