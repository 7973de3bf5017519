"""What a call of ours may come to."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson


class OutboundError(Exception):
    """A call came to nothing; callers turn it into an error of their own."""


class NotSent(OutboundError):
    """Nothing has left this process: name, connection, TLS, or time ran out first."""


class NotAllowed(NotSent):
    """The URL leads where URLs of its kind may not lead."""


class NoAnswer(OutboundError):
    """The request was sent, and no answer came that could be read to its end."""


class WrongAnswer(OutboundError):
    """An answer came that is of no use: too long, or not what was asked for."""


class TooLong(WrongAnswer):
    """The answer is longer than what we are ready to read."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the other side said, read to its end."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)

    @property
    def ok(self) -> bool:
        """Whether the status says that it went well."""
        return self.status in range(200, 300)

    def json_object(self) -> dict[str, Any] | None:
        """Return the body as a JSON object; None when it is none."""
        try:
            value = orjson.loads(self.body)
        except orjson.JSONDecodeError:
            return None
        return value if isinstance(value, dict) else None
