"""One follower: a socket that takes events, and how far it has been told."""

import asyncio
import time
from enum import StrEnum
from typing import NamedTuple, Protocol

from service.events.events import Event
from service.events.positions import Position
from service.sockets import cut_off, hold_at_most

_KERNEL_BYTES = 65_536
_LAST_CHUNK = b"0\r\n\r\n"


class Reason(StrEnum):
    """Why a stream of events came to its end."""

    FINISHED = "finished"
    """Nothing more happens to what was followed."""
    LEFT = "left"
    """The follower hung up."""
    SLOW = "slow"
    """He took nothing for too long."""
    LOST = "lost"
    """What he was to be told next is gone: he read too slowly, or we did."""
    OLD = "old"
    """It was time to come again, with a key that is still good."""
    REVOKED = "revoked"
    """His key is good no longer."""
    DRAINING = "draining"
    """The front door closes."""


class Interest(NamedTuple):
    """What a follower wants to be told.

    Attributes:
        account: Whose events they are.
        subject: Only those of this job or batch; None: all.
        types: Only these; None: all.
    """

    account: str
    subject: str | None = None
    types: frozenset[str] | None = None

    def takes(self, event: Event) -> bool:
        """Whether an event about the subject is wanted."""
        return self.types is None or event.type in self.types


class Caller(NamedTuple):
    """Who follows, for the log and the limits."""

    key_id: str
    request_id: str


class Keeper(Protocol):
    """Whom a follower tells how it fares."""

    def caught_breath(self, follower: "Follower") -> None:
        """It has taken all that it was sent."""
        ...

    def gone(self, follower: "Follower") -> None:
        """The socket is closed."""
        ...


class Follower(asyncio.Protocol):
    """Takes over the socket of an answer whose headers have been sent.

    Nothing is kept for it. What the kernel does not take at once is the last that it
    is sent until the kernel has taken it: meanwhile it `is_stuck`.

    Args:
        interest: What it wants.
        at: The last event that it knows of.
        is_chunked: Whether the answer comes in chunks, as HTTP/1.1 has them.
        caller: Whose it is.

    Attributes:
        is_behind: Whether it is told from what was read before.
        stuck_since: Monotonic seconds; None: it takes what it is sent.
        reason: Why it ends; None: it goes on.
        spoke_at: When it was sent something, in monotonic seconds.
        told: How many events it was sent.
    """

    __slots__ = (
        "_is_chunked",
        "_keeper",
        "_transport",
        "at",
        "begun_at",
        "caller",
        "interest",
        "is_behind",
        "reason",
        "spoke_at",
        "stuck_since",
        "told",
    )

    def __init__(
        self,
        interest: Interest,
        *,
        at: Position,
        is_chunked: bool,
        caller: Caller,
    ) -> None:
        self.interest, self.at = interest, at
        self.caller = caller
        self.is_behind = False
        self.reason: Reason | None = None
        self.stuck_since: float | None = None
        self.told = 0
        self._is_chunked = is_chunked
        self._transport: asyncio.Transport

    def begin(self, transport: asyncio.Transport, keeper: Keeper) -> None:
        """Be told over this socket from now on."""
        self._transport, self._keeper = transport, keeper
        self.begun_at = self.spoke_at = time.monotonic()
        hold_at_most(transport, _KERNEL_BYTES)
        if transport.get_write_buffer_size():
            self.pause_writing()

    @property
    def is_stuck(self) -> bool:
        """Whether it has not taken yet what it was sent last."""
        return self.stuck_since is not None

    def send(self, data: bytes, *, now: float) -> None:
        """Send bytes, whole events or comments; nothing once it ends."""
        if self.reason is not None or self._transport.is_closing():
            return
        self.spoke_at = now
        if self._is_chunked:
            data = b"%x\r\n%b\r\n" % (len(data), data)
        self._transport.write(data)

    def tell(self, event: Event, text: bytes, *, now: float) -> None:
        """Send an event, and remember that it knows of it."""
        self.at = event.position
        self.told += 1
        self.send(text, now=now)

    def end(self, reason: Reason) -> None:
        """Say that nothing follows, and close behind what was sent."""
        if self.reason is not None:
            return
        if self._is_chunked and not self._transport.is_closing():
            self._transport.write(_LAST_CHUNK)
        self.reason = reason
        self._transport.close()

    def cut(self, reason: Reason) -> None:
        """Close at once, whatever has not been taken."""
        self.reason = reason
        cut_off(self._transport)

    def pause_writing(self) -> None:
        """Note that the kernel has more than the other side takes."""
        self.stuck_since = time.monotonic()

    def resume_writing(self) -> None:
        """Go on."""
        self.stuck_since = None
        self._keeper.caught_breath(self)

    def data_received(self, data: bytes) -> None:
        """Let whatever is said on an answered request fall."""

    def eof_received(self) -> bool:
        """Take a client that says nothing more for one that went."""
        return False

    def connection_lost(self, exc: BaseException | None) -> None:
        """Tell that it is over."""
        _ = exc
        self.reason = self.reason or Reason.LEFT
        self._keeper.gone(self)
