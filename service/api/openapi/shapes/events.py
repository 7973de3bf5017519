"""Images as they come, in server-sent events; `data` holds one of these as JSON."""

from typing import Any, Literal, NotRequired

from service.api.openapi.shapes import Shape
from service.api.openapi.shapes.errors import Error
from service.api.openapi.shapes.images import Format, Image, InlineImage


class Note(Shape):
    """A field that was let go, or what is missing from the images."""

    param: str | None
    code: str
    message: str


class About(Shape):
    """What every event says of its image."""

    created_at: int
    """Unix seconds."""
    size: str
    quality: str
    background: str
    output_format: Format


class PartialImageEvent(About):
    """An image that is not finished."""

    type: Literal["image_generation.partial_image", "image_edit.partial_image"]
    b64_json: str
    partial_image_index: int
    """From 0."""


class Completed(About):
    """What is said of an image that is finished."""

    type: Literal["image_generation.completed", "image_edit.completed"]
    usage: dict[str, Any] | None
    """As the provider reports it, for all images, with the last of them."""
    latency: NotRequired[int]
    """Milliseconds, with the last image, if the operator says so."""
    cost: NotRequired[float | None]
    """US dollars, told like `latency`."""
    warnings: NotRequired[list[Note]]
    """With the last image."""


class CompletedInlineEvent(Completed, InlineImage):
    """A finished image as base64, as a stream brings it unless told otherwise."""


class CompletedLinkEvent(Completed, Image):
    """A finished image by URL."""


class ErrorEvent(Error):
    """The end of a stream that brings no more images."""

    type: Literal["error"]


Event = PartialImageEvent | CompletedInlineEvent | CompletedLinkEvent | ErrorEvent
