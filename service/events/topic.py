"""One account's events, and who follows them."""

from collections.abc import Container, Iterator, Mapping, Sequence

from service.events.events import Event
from service.events.follower import Follower, Reason
from service.events.log import Standing
from service.events.positions import Position, before


class Topic:
    """Who wants to be told what of an account.

    Attributes:
        head: The last event that was read, and told to all who are not behind.
        behind: Those who have to be told from what was read before.
    """

    __slots__ = ("_by_subject", "_everybody", "account", "behind", "head")

    def __init__(self, account: str, head: Position) -> None:
        self.account, self.head = account, head
        self.behind: set[Follower] = set()
        self._everybody: set[Follower] = set()
        self._by_subject: dict[str, set[Follower]] = {}

    @property
    def is_deserted(self) -> bool:
        """Whether nobody follows any more."""
        return not self._everybody and not self._by_subject

    def join(self, follower: Follower) -> None:
        """Take in a follower, wherever it stands."""
        subject = follower.interest.subject
        if subject is None:
            self._everybody.add(follower)
        else:
            self._by_subject.setdefault(subject, set()).add(follower)
        if follower.at < self.head:
            self._fall_behind(follower)

    def leave(self, follower: Follower) -> None:
        """Forget a follower."""
        self.behind.discard(follower)
        self._everybody.discard(follower)
        subject = follower.interest.subject
        if subject is None or subject not in self._by_subject:
            return
        self._by_subject[subject].discard(follower)
        if not self._by_subject[subject]:
            del self._by_subject[subject]

    def ending(self, events: Sequence[Event]) -> set[str]:
        """Return the followed jobs and batches that these events end."""
        ends = {event.ends for event in events if event.ends is not None}
        return {subject for subject in ends if subject in self._by_subject}

    def tell(
        self,
        events: Sequence[Event],
        wholes: Mapping[str, Mapping[str, object]],
        *,
        now: float,
        behind: Container[Follower] | None = None,
    ) -> None:
        """Tell whoever wants to be told; each hears of an event once, in order.

        Args:
            events: What was read next, oldest first.
            wholes: What goes with the last event of a job or batch, by its id.
            now: Monotonic seconds.
            behind: Only these of the followers who are behind; None: all the others.
        """
        for event in events:
            text = b""
            for follower in self._concerned(event):
                if (behind is None) is follower.is_behind:
                    continue
                if behind is not None and follower not in behind:
                    continue
                if event.position <= follower.at or not follower.interest.takes(event):
                    continue
                if follower.is_stuck:
                    if not follower.is_behind:
                        follower.at = before(event.position)
                        self._fall_behind(follower)
                    continue
                text = text or event.text()
                _tell(follower, event, text, wholes, now=now)

    def move_on(
        self, followers: Sequence[Follower], events: Sequence[Event], *, all_read: bool
    ) -> None:
        """Move followers on behind events that they were told."""
        for follower in followers:
            if follower.is_stuck:
                continue
            if events:
                follower.at = max(follower.at, events[-1].position)
            if all_read:
                follower.at = max(follower.at, self.head)
            if follower.at >= self.head:
                follower.is_behind = False
                self.behind.discard(follower)

    def lose(self, standing: Standing) -> None:
        """End those who were to be told something that cannot be read any more."""
        everybody = (self._everybody, *self._by_subject.values())
        for follower in [f for some in everybody for f in some]:
            if not follower.is_behind and standing.has_lost(follower.at):
                follower.end(Reason.LOST)

    def _concerned(self, event: Event) -> Iterator[Follower]:
        yield from tuple(self._everybody)
        for subject in (event.job_id, event.batch_id):
            if subject is not None:
                yield from tuple(self._by_subject.get(subject, ()))

    def _fall_behind(self, follower: Follower) -> None:
        follower.is_behind = True
        self.behind.add(follower)


def _tell(
    follower: Follower,
    event: Event,
    text: bytes,
    wholes: Mapping[str, Mapping[str, object]],
    *,
    now: float,
) -> None:
    subject = follower.interest.subject
    if subject is None or event.ends != subject:
        follower.tell(event, text, now=now)
        return
    follower.tell(event, event.text(**wholes.get(subject, {})), now=now)
    follower.end(Reason.FINISHED)
