"""Images in answers, and OpenAI's images object."""

from typing import Any, Literal, NotRequired

from service.api.openapi.shapes import Shape

Format = Literal["png", "jpeg", "webp"]


class FieldWarning(Shape):
    """A field that was let go because of `"strict": false`."""

    param: str
    code: Literal["unsupported_field"]
    message: str


class JobError(Shape):
    """What a job failed with, or what is missing from its result."""

    code: str
    """Stable; see `Error`. `partial_result`: fewer images than asked were made."""
    message: str


class Image(Shape):
    """One finished image."""

    url: str
    """Signed when this was read; it needs no key, until it expires."""
    url_expires_at: int
    """Unix seconds; read the job again for a fresh URL."""
    sha256: str
    width: int
    height: int
    content_type: Literal["image/png", "image/jpeg", "image/webp"]
    bytes: int
    revised_prompt: str | None
    """The prompt as the provider drew it, where it says."""


class InlineImage(Shape):
    """One finished image within the answer."""

    b64_json: str
    """The bytes in base64."""
    revised_prompt: str | None


class ImagesObject(Shape):
    """OpenAI's images object, and what we know beside it."""

    created: int
    """Unix seconds."""
    data: list[Image | InlineImage]
    size: str
    """What was drawn."""
    requested_size: str | None
    """What was asked for; it differs where the model cannot draw that."""
    output_format: Format
    quality: NotRequired[str]
    background: NotRequired[str]
    usage: NotRequired[dict[str, Any]]
    """As the provider reports it."""
    latency: NotRequired[int]
    """Milliseconds; ImageRouter's callers are told, others if the operator says so."""
    cost: NotRequired[float | None]
    """US dollars, told like `latency`; null where the price is not known."""
    error: NotRequired[JobError]
    """There when fewer images than asked were made."""
    warnings: NotRequired[list[FieldWarning]]
