"""What the lines of a batch say; how they are written, dialects know."""

from typing import Any, NamedTuple, Protocol

from service.core.errors import InvalidRequest
from service.intake.draft import Draft
from service.intake.spool import Spool
from service.intake.uploads import Uploads


class ReadLine(NamedTuple):
    """One line, as far as it can be read.

    Attributes:
        custom_id: What the caller calls it; None: he does not, or it cannot be read.
        body: As it was written; None where `error` says what is wrong.
    """

    custom_id: str | None
    body: dict[str, Any] | None
    error: InvalidRequest | None = None


class Drafted(NamedTuple):
    """What the body of a line asks for."""

    draft: Draft
    operation: str
    uploads: Uploads
    metadata: dict[str, str] | None


class LineReader(Protocol):
    """Reads lines: once to find fault with them, once more when their turn comes."""

    def read(self, data: bytes, *, endpoint: str, model: str | None) -> ReadLine:
        """Read what stands around the body.

        Args:
            data: The line.
            endpoint: Of the batch.
            model: For lines that name none.
        """
        ...

    def write(
        self, custom_id: str | None, body: dict[str, Any], *, endpoint: str
    ) -> bytes:
        """Return a line that reads as `body` under that name."""
        ...

    async def draft(
        self, body: dict[str, Any], *, endpoint: str, spool: Spool
    ) -> Drafted:
        """Return what the body of a line asks for; it stays as it is.

        Args:
            body: As `read` returned it.
            endpoint: Of the batch.
            spool: Holds the images that stand in it as `data:` URLs.

        Raises:
            InvalidRequest: A field is wrong.
            Unavailable: There is no room for the images.
        """
        ...
