"""What is known of an image, and what the first bytes say it is."""

from dataclasses import dataclass

_MAGIC = {
    "image/png": b"\x89PNG\r\n\x1a\n",
    "image/jpeg": b"\xff\xd8\xff",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFacts:
    """What a full decode has proven.

    Attributes:
        width: Pixels, as they lie in the file: an EXIF rotation is not applied.
        height: Pixels.
        content_type: `image/png`, `image/jpeg` or `image/webp`.
        has_alpha: Whether parts of it may be transparent.
    """

    width: int
    height: int
    content_type: str
    has_alpha: bool = False


def sniff(data: bytes) -> str | None:
    """Return the content type that the first bytes claim; None: not one we take."""
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return "image/webp"
    claims = (kind for kind, magic in _MAGIC.items() if data.startswith(magic))
    return next(claims, None)
