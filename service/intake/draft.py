"""What a caller wrote for one generation: types and ranges checked, nothing else.

Whether the model can do it, `service.intake.compose` decides; a dialect adds its own
fields in a subclass. A field's description is what the API's document says of it.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

_MOST_IMAGES = 1000
"""More is no number of images at all; the model's own limit is far below."""


class ImageConfig(BaseModel):
    """Provider-neutral size."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    aspect_ratio: str | None = None
    image_size: str | None = None


class Draft(BaseModel):
    """The fields that every dialect shares; None: unsaid."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    model: str
    prompt: str
    n: Annotated[int, Field(ge=1, le=_MOST_IMAGES)] | None = None
    size: str | None = None
    aspect_ratio: str | None = None
    image_config: ImageConfig | None = None
    quality: Literal["auto", "low", "medium", "high", "standard", "hd"] | None = None
    style: Literal["vivid", "natural"] | None = None
    background: Literal["auto", "transparent", "opaque"] | None = None
    moderation: Literal["auto", "low"] | None = None
    output_format: Literal["png", "jpeg", "jpg", "webp"] | None = None
    output_compression: Annotated[int, Field(ge=0, le=100)] | None = None
    seed: Annotated[int, Field(ge=0, lt=2**63)] | None = None
    negative_prompt: str | None = None
    user: str | None = None
    strict: bool = True
