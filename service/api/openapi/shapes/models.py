"""Models, as OpenAI lists them and as ImageRouter maps them."""

from typing import Literal, NotRequired

from service.api.openapi.shapes import Shape


class PriceRange(Shape):
    """US dollars an image; null where the catalog does not say."""

    min: float | None
    average: float | None
    """What a request pays that leaves size and quality to the model."""
    max: float | None


class Pricing(Shape):
    """How an image is priced."""

    type: Literal["fixed", "calculated", "post_generation"]
    value: NotRequired[float]
    """US dollars an image, where it is fixed."""
    range: NotRequired[PriceRange]
    """There where it depends on size or quality."""


class ModelProvider(Shape):
    """One route of a model."""

    id: str
    model_name: str
    pricing: Pricing


class SupportedParams(Shape):
    """What a request may carry."""

    edit: bool
    mask: bool
    quality: bool


class MappedModel(Shape):
    """A model in a map of version 1."""

    providers: list[ModelProvider]
    """Best first."""
    sizes: list[str]
    """`custom`: more than a list could name."""
    supported_params: SupportedParams
    output: list[Literal["image"]]
    features: list[str]
    output_formats: list[str]
    default_size: str
    max_n: int
    """The most images of one request."""
    token_multiplier: float
    """An image takes 5,000 quota units, or 12,500 at 4K, times this."""
    embed: bool
    """Whether `/embed/image:` may ask for it."""
    available: bool
    """Whether a worker that is alive can call a provider of it."""


class Model(MappedModel):
    """A model under one of its names."""

    id: str
    object: Literal["model"]
    created: int
    """Unix seconds; when this front door learned of it."""
    owned_by: str
    """The provider of its best route."""
    canonical: str
    """Its name in the catalog."""


class ModelList(Shape):
    """The models that the key may ask for, aliases included."""

    object: Literal["list"]
    data: list[Model]


class ModelInputs(Shape):
    """What a request may carry."""

    image: bool
    mask: bool
    quality: bool
    size: list[str]


class MappedModelV2(Shape):
    """A model in a map of version 2."""

    price: PriceRange
    inputs: ModelInputs
    output: list[Literal["image"]]
    features: list[str]
    output_formats: list[str]
    default_size: str
    max_n: int
    token_multiplier: float
    embed: bool
    available: bool
