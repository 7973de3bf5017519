"""What goes out to a receiver, and what came of it."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One event, addressed.

    Attributes:
        event: Its id, the same each time it is sent.
        secrets: What signs it, newest first; at least one.
    """

    event: str
    url: str
    body: bytes = field(repr=False)
    secrets: tuple[str, ...] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What the receiver made of it.

    Attributes:
        status: Of its answer; None: none came.
        error: Why the event did not arrive; None: it did.
        body: The beginning of its answer.
    """

    status: int | None
    error: str | None
    body: bytes = field(default=b"", repr=False)
