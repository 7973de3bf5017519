"""What a caller wrote for one generation: types and ranges checked, nothing else.

Whether the model can do it, `service.intake.compose` decides; a dialect adds its own
fields in a subclass. The text below a field is what the API's document says of it.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

_MOST_IMAGES = 1000
"""More is no number of images at all; the model's own limit is far below."""


DRAFT_CONFIG = ConfigDict(
    strict=True, extra="forbid", frozen=True, use_attribute_docstrings=True
)

_Name = Annotated[str, StringConstraints(min_length=1, max_length=64)]
_Text = Annotated[str, StringConstraints(max_length=512)]
Metadata = Annotated[dict[_Name, _Text], Field(max_length=16)]
"""A caller's own notes, of a job or a batch."""


class ImageConfig(BaseModel):
    """Provider-neutral size."""

    model_config = DRAFT_CONFIG

    aspect_ratio: str | None = None
    """Such as `1:1`, `16:9` or `4:5`."""
    image_size: str | None = None
    """`1K`, `2K` or `4K`; 4K costs more quota."""


class Draft(BaseModel):
    """The fields that every dialect shares; None: unsaid."""

    model_config = DRAFT_CONFIG

    model: str
    """Its name, an alias, or the bare name of a provider's model; see `/v1/models`.
    It may be left out where the operator has set `DARKROOM_DEFAULT_MODEL`."""
    prompt: str | None = None
    """What to draw, in at most 32,000 characters; not required beside images."""
    n: Annotated[int, Field(ge=1, le=_MOST_IMAGES)] | None = None
    """How many images; the model's own limit is its `max_n`."""
    size: str | None = None
    """`auto`, or pixels such as `1536x1024`; what the model cannot draw becomes the
    nearest it can, and the answer tells both."""
    aspect_ratio: str | None = None
    """A shape such as `16:9` in place of `size`."""
    image_config: ImageConfig | None = None
    """Shape and tier in place of `size`."""
    quality: Literal["auto", "low", "medium", "high", "standard", "hd"] | None = None
    """How much care to take; `standard` and `hd` are dall-e's words."""
    style: Literal["vivid", "natural"] | None = None
    """`vivid` or `natural`, for models that know the difference."""
    background: Literal["auto", "transparent", "opaque"] | None = None
    """`transparent` needs an `output_format` with alpha: png or webp."""
    moderation: Literal["auto", "low"] | None = None
    """How strictly the provider is to look at the prompt."""
    input_fidelity: Literal["low", "high"] | None = None
    """How closely an edit is to keep to the images it begins with."""
    output_format: Literal["png", "jpeg", "jpg", "webp"] | None = None
    """`jpg` is `jpeg`; images are converted where the model makes another."""
    output_compression: Annotated[int, Field(ge=0, le=100)] | None = None
    """Percent, for jpeg and webp."""
    seed: Annotated[int, Field(ge=0, lt=2**63)] | None = None
    """The same seed gives the same image, where the model honors it."""
    negative_prompt: str | None = None
    """What not to draw."""
    user: str | None = None
    """Whose request it is, in your own words; passed on to the provider."""
    max_cost: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    """US dollars that all images together may cost by the catalog's price; what costs
    more, or nobody knows how much, is refused."""
    cache: bool = False
    """`true` answers with an earlier job of the same content, under way or done, at no
    charge; `user`, `metadata` and `priority` make no difference."""
    provider: str | Annotated[list[str], Field(min_length=1, max_length=16)] | None = (
        None
    )
    """Keep to this provider of the catalog, or to these."""
    exclude_providers: Annotated[list[str], Field(max_length=16)] | None = None
    """Leave these out."""
    failover_on_refusal: bool = False
    """`true` tries the next provider where one refuses the prompt; the last refusal is
    the answer. Some providers charge for what they refuse."""
    strict: bool = True
    """`false` drops what the model does not honor, and says so in `warnings`."""
