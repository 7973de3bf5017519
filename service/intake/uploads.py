"""Images that callers send along: as bytes, or as links that read them."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from service.core.catalog import Model
from service.core.errors import InvalidRequest
from service.intake.spool import Held

MOST_IMAGES = 16
_LONGEST_LINK = 2048


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """An image as the caller sent it, nobody has looked at it yet.

    Attributes:
        param: The field it came in, such as `image[2]`, for messages.
        held: Its bytes; None where there is a link instead.
        link: An `https:` URL that reads it.
    """

    param: str
    held: Held | None = None
    link: str | None = None

    @property
    def sha256(self) -> str:
        """Hex digest of what the caller sent: the bytes, or the text of the link."""
        if self.held is not None:
            return self.held.sha256
        return hashlib.sha256((self.link or "").encode()).hexdigest()


class Uploads(NamedTuple):
    """What came along with one request."""

    images: Sequence[Upload] = ()
    mask: Upload | None = None


NO_UPLOADS = Uploads()


def check_uploads(uploads: Uploads, operation: str, model: Model) -> None:
    """Refuse what no look at the images themselves could make good.

    Raises:
        InvalidRequest: `missing_field`, `incompatible_options`, `too_many_images` or
            `unsupported_field`.
    """
    images, mask = uploads
    if images and operation == "generate":
        raise InvalidRequest(
            "to generate is to start from nothing; ask for an edit of these images",
            code="incompatible_options",
            param="operation",
        )
    if not images and (mask is not None or operation != "generate"):
        raise InvalidRequest(
            "an image to start from is required", code="missing_field", param="image"
        )
    if len(images) > MOST_IMAGES:
        raise InvalidRequest(
            f"there are more than {MOST_IMAGES} images",
            code="too_many_images",
            param="image",
        )
    if mask is not None and "mask" not in model.features:
        raise InvalidRequest(
            "this model takes no mask", code="unsupported_field", param="mask"
        )


def linked(param: str, link: str) -> Upload:
    """Return the image that is read by `link`; nobody follows it yet.

    Raises:
        InvalidRequest: It is no link that may be followed (`invalid_url`).
    """
    is_web = link.startswith(("https://", "http://"))
    if not is_web or len(link) > _LONGEST_LINK or not link.isprintable():
        raise InvalidRequest(
            f"{param} must be an image: a file, an https: URL, or a base64 data: URL",
            code="invalid_url",
            param=param,
        )
    return Upload(param=param, link=link)
