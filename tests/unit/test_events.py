"""Whoever follows hears each event once and in order, however slowly he reads."""

import re
from datetime import UTC, datetime
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from service.events import Caller, Event, Follower, Interest, id_of, position_of
from service.events.log import Standing
from service.events.positions import START, Position, first_of
from service.events.topic import Topic

JOBS = ("job_1", "job_2", None)
"""Two jobs that are followed, or all of the account."""


class Socket:
    """What a transport has below it; it takes all settings."""

    def setsockopt(self, *_: int) -> None:
        pass


class Transport:
    """Takes so many writes before it asks for a pause, and notes the ids."""

    def __init__(self, appetite: int) -> None:
        self.told: list[int] = []
        self.appetite = appetite
        self.protocol: Follower

    def write(self, data: bytes) -> None:
        self.told += [int(n) for n in re.findall(rb"\nid: 0-(\d+)\n", data)]
        self.appetite -= 1
        if self.appetite == 0:
            self.protocol.pause_writing()

    def is_closing(self) -> bool:
        return False

    def get_write_buffer_size(self) -> int:
        return 0

    def get_extra_info(self, _: str) -> Socket:
        return Socket()


class Account:
    """One account's stream, its topic, and a reader that is driven by hand."""

    def __init__(self) -> None:
        self.topic = Topic("ada", START)
        self.events: list[Event] = []
        self.followers: list[tuple[Transport, int, str | None]] = []
        self.asked: tuple[list[Follower], list[Event], bool] | None = None

    def happen(self, job_id: str) -> None:
        fields = {b"job": job_id.encode(), b"state": b"running"}
        position = Position(len(self.events) + 1)
        self.events.append(Event.read(position, fields))

    def read(self, most: int) -> None:
        self.hear()
        events = self.events[self.topic.head :][:most]
        if events:
            self.topic.tell(events, {}, now=0)
            self.topic.head = events[-1].position

    def catch_up(self, most: int) -> None:
        """Ask for what comes next; the answer is there a few steps later."""
        self.hear()
        ready = [f for f in self.topic.behind if not f.is_stuck]
        if ready:
            events = self.events[min(f.at for f in ready) :][:most]
            self.asked = ready, events, len(events) < most

    def hear(self) -> None:
        """Take in what was asked for."""
        if self.asked is not None:
            ready, events, all_read = self.asked
            self.asked = None
            self.topic.tell(events, {}, now=0, behind=set(ready))
            self.topic.move_on(ready, events, all_read=all_read)

    def join(self, job_id: str | None, share: float, appetite: int) -> None:
        at = Position(int(share * len(self.events)))
        transport = Transport(appetite)
        transport.protocol = Follower(
            Interest("ada", job_id), at=at, is_chunked=False, caller=Caller("", "")
        )
        transport.protocol.begin(transport, self)  # type: ignore[arg-type]
        self.topic.join(transport.protocol)
        self.followers.append((transport, at, job_id))

    def get_hungry(self, number: int, appetite: int) -> None:
        if self.followers:
            transport = self.followers[number % len(self.followers)][0]
            transport.appetite = appetite
            if transport.protocol.is_stuck:
                transport.protocol.resume_writing()

    def caught_breath(self, follower: Follower) -> None:
        """See `Keeper`."""

    def gone(self, follower: Follower) -> None:
        """See `Keeper`."""


small = st.integers(1, 4)
steps = st.one_of(
    st.tuples(st.just(Account.happen), st.sampled_from(JOBS[:2])),
    st.tuples(st.just(Account.read), small),
    st.tuples(st.just(Account.catch_up), small),
    st.tuples(st.just(Account.join), st.sampled_from(JOBS), st.floats(0, 1), small),
    st.tuples(st.just(Account.get_hungry), st.integers(0, 9), small),
)


@settings(max_examples=40)
@given(st.lists(steps, min_size=40, max_size=80))
def test_everybody_hears_all_that_concerns_him_once_and_in_order(taken: list[Any]):
    account = Account()

    for step, *arguments in taken:
        step(account, *arguments)
    for number in range(len(account.followers)):
        account.get_hungry(number, 1000)
    for _ in range(2 * len(account.events) + 2):
        account.read(3)
        account.catch_up(3)
    account.hear()

    assert not account.topic.behind
    for transport, at, job_id in account.followers:
        concerned = [e for e in account.events[at:] if job_id in (None, e.job_id)]
        assert transport.told == [event.position for event in concerned]


@pytest.mark.parametrize(
    "text", ["0-0", "1795280100538-10", f"{2**64 - 1}-{2**64 - 1}"]
)
def test_an_id_is_a_number_and_back(text: str):
    position = position_of(text)

    assert position is not None
    assert id_of(position) == text


@pytest.mark.parametrize(
    "text", ["", "1", "1-", "-1", "a-b", " 1-1", f"{2**64}-0", "\u0661-\u0661"]
)
def test_what_is_no_id_is_no_number(text: str):
    assert position_of(text) is None


def test_later_ids_are_higher_numbers():
    moment = datetime(2026, 11, 21, 16, 55, 0, 538_000, tzinfo=UTC)
    ids = ["1795280100537-9", "1795280100538-0", "1795280100538-10", "1795280100539-0"]

    positions = [position_of(text) for text in ids]

    assert positions == sorted(positions)  # type: ignore[type-var]
    assert first_of(moment) == positions[1]


def test_what_was_trimmed_is_lost_and_what_redis_never_knew():
    whole = Standing(Position(5), Position(9), is_trimmed=False)
    trimmed = whole._replace(is_trimmed=True)

    assert [whole.has_lost(Position(at)) for at in (START, 4, 9)] == [False] * 3
    assert whole.has_lost(Position(10))
    assert [trimmed.has_lost(Position(at)) for at in (4, 5, 9)] == [True, False, False]
