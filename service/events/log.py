"""What Redis holds of an account's events: about the newest ten thousand."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from redis.asyncio import Redis
from redis.asyncio.client import Pipeline
from redis.exceptions import ResponseError

from service.events.events import Event
from service.events.positions import (
    START,
    Position,
    before,
    first_of,
    id_of,
    milliseconds_of,
    position_of,
)
from service.job_store import keys
from service.job_store.answers import within

MOST = 500
"""Events that are read at once of one account."""

FORGOTTEN_AFTER = timedelta(days=7)
"""An account in which nothing happens for so long; `tell` in `outbox.lua` says so."""

Entries = Iterable[tuple[bytes, Mapping[bytes, bytes]]]


class Standing(NamedTuple):
    """Which events of an account can still be read.

    Attributes:
        oldest: The first of them; `START` where there never was one.
        newest: The last.
        is_trimmed: Whether there were older ones.
    """

    oldest: Position
    newest: Position
    is_trimmed: bool

    def has_lost(self, since: Position) -> bool:
        """Whether something behind `since` cannot be read any more.

        What Redis lost, it never knew of: then `since` is newer than all that is left.
        """
        if since > self.newest:
            return True
        return since < self.oldest and (self.is_trimmed or self._was_forgotten(since))

    def _was_forgotten(self, since: Position) -> bool:
        """Whether an event at `since` was in a stream before this one."""
        quiet_ms = milliseconds_of(self.oldest) - milliseconds_of(since)
        return since != START and quiet_ms >= FORGOTTEN_AFTER // timedelta(
            milliseconds=1
        )


class EventLog:
    """Reads the streams.

    Every call may raise QueueUnavailable.
    """

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def since(self, places: Mapping[str, Position]) -> dict[str, Sequence[Event]]:
        """Return the next events of accounts where there are some, oldest first.

        Args:
            places: What was read last, by account.
        """
        streams = {keys.events(name): id_of(at) for name, at in places.items()}
        accounts = dict(zip(streams, places, strict=True))
        answer = await within(self._redis.xread(streams, count=MOST))  # type: ignore[arg-type]
        return {
            accounts[stream.decode()]: _events(entries) for stream, entries in answer
        }

    async def after(
        self, account: str, place: Position
    ) -> tuple[Sequence[Event], Standing]:
        """Return the next events behind `place`, and what there is at that moment."""
        key = keys.events(account)
        entries, about = await self._at_once(
            lambda pipe: pipe.xrange(key, f"({id_of(place)}", "+", MOST),
            lambda pipe: pipe.xinfo_stream(key),
        )
        return _events(entries), _standing(about)

    async def standing(self, account: str) -> Standing:
        """Return which events of the account there are."""
        key = keys.events(account)
        [about] = await self._at_once(lambda pipe: pipe.xinfo_stream(key))
        return _standing(about)

    async def holds(self, account: str, place: Position) -> bool:
        """Whether there is an event with just this id."""
        key, event_id = keys.events(account), id_of(place)
        return bool(await within(self._redis.xrange(key, event_id, event_id)))

    async def beside(
        self, account: str, key: str
    ) -> tuple[Mapping[bytes, bytes], Position]:
        """Return a record and the newest event of its account, both of one moment.

        The record is empty where there is none, or it is somebody else's.
        """
        record, about = await self._at_once(
            lambda pipe: pipe.hgetall(key),
            lambda pipe: pipe.xinfo_stream(keys.events(account)),
        )
        ours = record.get(b"account") == account.encode()
        return record if ours else {}, _standing(about).newest

    async def has_ended(
        self, account: str, subject: str, *, ended: datetime, by: Position
    ) -> bool:
        """Whether the last event of a job or batch is one of those up to `by`.

        Args:
            account: Whose it is.
            subject: Its id.
            ended: When it ended, by Redis's clock; no last event is older.
            by: An event of the account.
        """
        at = before(first_of(ended))
        while at < by:
            events, standing = await self.after(account, at)
            if any(e.ends == subject for e in events if e.position <= by):
                return True
            if not events or events[-1].position >= by:
                # What was trimmed came before all that is left.
                return standing.has_lost(at)
            at = events[-1].position
        return False

    async def _at_once(self, *commands: Callable[[Pipeline], Any]) -> list[Any]:
        """Return what the commands answer to, all of one moment.

        A stream that does not exist is answered by a ResponseError in its place.
        """
        answers: list[Any] = await within(self._transaction(commands))
        return answers

    async def _transaction(
        self, commands: Iterable[Callable[[Pipeline], Any]]
    ) -> list[Any]:
        async with self._redis.pipeline(transaction=True) as pipe:
            for command in commands:
                command(pipe)
            answers: list[Any] = await pipe.execute(raise_on_error=False)
        for answer in answers:
            if isinstance(answer, Exception) and not _is_absence(answer):
                raise answer
        return answers


def _is_absence(answer: Any) -> bool:
    return isinstance(answer, ResponseError) and str(answer) == "no such key"


def _events(entries: Entries) -> list[Event]:
    return [Event.read(_position(entry), fields) for entry, fields in entries]


def _position(entry: bytes) -> Position:
    return position_of(entry.decode()) or START


def _standing(about: Any) -> Standing:
    """Read the answer to XINFO STREAM.

    The counters tell of trimming; `max-deleted-entry-id` knows XDEL only.
    """
    if _is_absence(about):
        return Standing(START, START, is_trimmed=False)
    first = about["first-entry"]
    return Standing(
        oldest=START if first is None else _position(first[0]),
        newest=_position(about["last-generated-id"]),
        is_trimmed=about["entries-added"] > about["length"],
    )
