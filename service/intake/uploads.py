"""Images that callers send along: decoded, re-encoded, and stored under their job."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """An image as the caller sent it, nobody has looked at it yet.

    Attributes:
        param: The field it came in, such as `image[2]`, for messages.
        data: Its bytes; None where there is a link instead.
        link: An `https:` or `data:` URL that reads it.
    """

    param: str
    data: bytes | None = None
    link: str | None = None


class Uploads(NamedTuple):
    """What came along with one request."""

    images: Sequence[Upload] = ()
    mask: Upload | None = None


NO_UPLOADS = Uploads()
