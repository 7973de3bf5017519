"""What happened in an account within the last hour, counted from its events.

One process keeps the counts of those who look, minute by minute, and reads only what
is new to them; nobody looks, nothing is read.
"""

import time
from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from service.events import Event, EventLog, Position
from service.events.positions import first_of, milliseconds_of

MINUTES = 60
_MOST_READS = 25
_MOST_ACCOUNTS = 1000


@dataclass(slots=True)
class Hour:
    """The last sixty minutes of one account.

    Attributes:
        at: The last event that was counted.
        minutes: What jobs became, by minute since 1970.
        is_whole: Whether nothing was forgotten before it could be counted.
    """

    at: Position
    minutes: deque[tuple[int, Counter[str]]] = field(default_factory=deque)
    is_whole: bool = True

    def count(self, events: Iterable[Event]) -> None:
        """Take in events that are newer than all before."""
        for event in events:
            self.at = event.position
            minute = milliseconds_of(event.position) // 60_000
            if not self.minutes or self.minutes[-1][0] < minute:
                self.minutes.append((minute, Counter()))
            if event.job_id is not None:
                self.minutes[-1][1][event.type] += 1

    def of(self, kind: str, *, minutes: int = MINUTES) -> int:
        """Return how often that happened within so many minutes."""
        since = time.time() // 60 - minutes
        return sum(counts[kind] for minute, counts in self.minutes if minute > since)

    def forget_old(self) -> None:
        """Keep an hour."""
        since = time.time() // 60 - MINUTES
        while self.minutes and self.minutes[0][0] <= since:
            self.minutes.popleft()


class Activity:
    """The hours of those accounts that somebody looks at."""

    def __init__(self) -> None:
        self._hours: dict[str, Hour] = {}

    async def hour_of(self, account: str, log: EventLog) -> Hour:
        """Return the account's last hour; may raise QueueUnavailable."""
        hour = self._hours.pop(account, None) or Hour(_an_hour_ago())
        if len(self._hours) >= _MOST_ACCOUNTS:
            del self._hours[next(iter(self._hours))]
        self._hours[account] = hour
        for _ in range(_MOST_READS):
            place = hour.at
            events, standing = await log.after(account, place)
            if hour.at != place:
                break  # somebody else counted meanwhile
            if events and standing.is_trimmed and place < standing.oldest:
                hour.is_whole = False
            hour.count(events)
            if hour.at == place or hour.at >= standing.newest:
                break
        hour.forget_old()
        return hour


def _an_hour_ago() -> Position:
    return first_of(datetime.now(UTC) - timedelta(minutes=MINUTES))
