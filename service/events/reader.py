"""Reads the streams of all accounts that somebody follows, and tells the followers.

The stream decides, the publish only says when to look: a lost one costs a second,
because all followed accounts are looked at again that often.
"""

import asyncio
import contextlib
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence

import structlog
from redis.asyncio import Redis

from service.core.errors import QueueUnavailable, ServiceError
from service.events.events import Event
from service.events.follower import Follower, Reason
from service.events.log import MOST, EventLog
from service.events.topic import Topic
from service.job_store import keys
from service.job_store.listening import messages

log = structlog.get_logger()

Show = Callable[[str, str], Awaitable[Mapping[str, object]]]
"""From an account and one of its jobs or batches to what its last event carries."""

_LOOK_AGAIN_S = 1.0
_PAUSE_S = 0.2
_TOGETHER = 500


class Reader:
    """One per process; `listen` and `read` run for as long as it does."""

    def __init__(self, redis: Redis, show: Show) -> None:
        self._redis, self._show = redis, show
        self._log = EventLog(redis)
        self._topics: dict[str, Topic] = {}
        self._stirred: set[str] = set()
        self._doubted: set[str] = set()
        self._stir = asyncio.Event()
        self._watched: defaultdict[str, set[asyncio.Event]] = defaultdict(set)

    @contextlib.contextmanager
    def watched(self, account: str) -> Iterator[asyncio.Event]:
        """Set the event whenever something happened in the account."""
        happened = asyncio.Event()
        self._watched[account].add(happened)
        try:
            yield happened
        finally:
            self._watched[account].discard(happened)
            if not self._watched[account]:
                del self._watched[account]

    def rouse(self) -> None:
        """Let everybody who watches look."""
        for watching in self._watched.values():
            for happened in watching:
                happened.set()

    def join(self, follower: Follower) -> None:
        """Tell the follower, too."""
        account = follower.interest.account
        topic = self._topics.get(account)
        if topic is None:
            topic = self._topics[account] = Topic(account, follower.at)
        topic.join(follower)
        self.look_at(account)

    def leave(self, follower: Follower) -> None:
        """Tell it nothing more."""
        topic = self._topics[follower.interest.account]
        topic.leave(follower)
        if topic.is_deserted:
            del self._topics[topic.account]
            self._doubted.discard(topic.account)

    def look_at(self, account: str) -> None:
        """Look soon whether there is something to tell."""
        self._stirred.add(account)
        self._stir.set()

    async def listen(self) -> None:
        """Hear in which accounts something happened; never ends."""
        async for message in messages(self._redis, keys.CHANGES):
            if not message:  # Redis was away, and may have lost what it told last
                self._doubted |= self._topics.keys()
            told = message.decode().splitlines() if message else list(self._topics)
            for account in told:
                if account in self._topics:
                    self.look_at(account)
                for happened in self._watched.get(account, ()):
                    happened.set()

    async def read(self) -> None:
        """Read and tell; never ends."""
        looked_at_all = time.monotonic()
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_AGAIN_S):
                    await self._stir.wait()
            self._stir.clear()
            if (now := time.monotonic()) - looked_at_all >= _LOOK_AGAIN_S:
                looked_at_all = now
                self._stirred |= self._topics.keys()
            stirred, self._stirred = self._stirred, set()
            try:
                await self._look(stirred)
            except QueueUnavailable:
                self._stirred |= stirred
                await asyncio.sleep(_PAUSE_S)
            except Exception:  # the others are still to be told
                log.exception("events.unreadable")
                await asyncio.sleep(_PAUSE_S)

    async def _look(self, accounts: set[str]) -> None:
        topics = [t for name in accounts if (t := self._topics.get(name))]
        for topic in topics:
            if topic.account in self._doubted:
                await self._check(topic)
        for at in range(0, len(topics), _TOGETHER):
            some = {topic.account: topic for topic in topics[at : at + _TOGETHER]}
            found = await self._log.since({n: t.head for n, t in some.items()})
            for account, events in found.items():
                await self._go_on(some[account], events)
        for topic in topics:
            if topic.behind:
                await self._catch_up(topic)

    async def _check(self, topic: Topic) -> None:
        """Go back to where the stream ends, if it ends before what was read of it."""
        standing = await self._log.standing(topic.account)
        if standing.newest < topic.head:
            topic.lose(standing)
            topic.head = standing.newest
        self._doubted.discard(topic.account)

    async def _go_on(self, topic: Topic, events: Sequence[Event]) -> None:
        """Tell those who are up to date."""
        if len(events) == MOST:  # who is so far behind may have missed what was trimmed
            standing = await self._log.standing(topic.account)
            if standing.has_lost(topic.head):
                topic.lose(standing)
            self.look_at(topic.account)
        wholes = await self._wholes(topic, events)
        topic.tell(events, wholes, now=time.monotonic())
        topic.head = events[-1].position

    async def _catch_up(self, topic: Topic) -> None:
        """Tell those who are behind, and take what they are sent, all in one go."""
        ready = [f for f in topic.behind if not f.is_stuck]
        if not ready:
            return
        start = min(follower.at for follower in ready)
        events, standing = await self._log.after(topic.account, start)
        for follower in ready:
            if standing.has_lost(follower.at):
                follower.end(Reason.LOST)
        wholes = await self._wholes(topic, events)
        topic.tell(events, wholes, now=time.monotonic(), behind=set(ready))
        topic.move_on(ready, events, all_read=len(events) < MOST)
        if topic.behind:
            self.look_at(topic.account)

    async def _wholes(
        self, topic: Topic, events: Sequence[Event]
    ) -> dict[str, Mapping[str, object]]:
        """Return what goes with the last event of each followed job and batch."""
        subjects = topic.ending(events)
        shown = (self._whole(topic.account, subject) for subject in subjects)
        return dict(zip(subjects, await asyncio.gather(*shown), strict=True))

    async def _whole(self, account: str, subject: str) -> Mapping[str, object]:
        """Return nothing for what is gone, or is none: that harms nobody else.

        Raises:
            QueueUnavailable: Redis is away.
        """
        try:
            return await self._show(account, subject)
        except QueueUnavailable:
            raise
        except ServiceError:
            return {}
        except Exception:
            log.exception("event.unreadable", subject=subject)
            return {}
