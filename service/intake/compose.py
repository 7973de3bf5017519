"""From what a caller wrote to a request the catalog can honor."""

from decimal import Decimal
from functools import lru_cache
from typing import Any, NamedTuple

from service.accounts import ApiKey
from service.core.catalog import Catalog, Model, Quote, Route
from service.core.errors import InvalidRequest
from service.core.requests import GenerationRequest
from service.core.sizing import Size, Sized, Sizing, resolve
from service.intake.draft import Draft
from service.intake.permits import permitted
from service.intake.routing import routes_for
from service.intake.uploads import NO_UPLOADS, Uploads, check_uploads
from service.intake.words import check_prompt, check_words

_HINTS = (
    "quality",
    "style",
    "background",
    "moderation",
    "input_fidelity",
    "seed",
    "negative_prompt",
)
"""Fields that only some models honor, each named like the feature it needs."""

_OF_EDITS = frozenset({"input_fidelity"})
"""Those that say nothing where there is no image to begin with."""

_LOSSLESS = 100
"""The compression that SDKs send along for PNG, where it means nothing."""


class Composed(NamedTuple):
    """A request, what it costs, and what was left out of it.

    Attributes:
        units: Quota units of all its images.
        price: Of all its images; None: the catalog does not say.
        dropped: Fields the model cannot honor, dropped because the caller said so.
        routes: In the order of preference.
    """

    request: GenerationRequest
    units: int
    price: Quote | None
    dropped: tuple[str, ...]
    routes: tuple[Route, ...]


def compose(
    draft: Draft,
    *,
    key: ApiKey,
    catalog: Catalog,
    operation: str = "generate",
    uploads: Uploads = NO_UPLOADS,
) -> Composed:
    """Check the draft, and what came along with it, against the catalog and the key.

    Nobody has looked at the images yet; `Inputs` puts them into the request.

    Raises:
        UnknownModel: The catalog has no such model.
        Forbidden: The key may not ask for it (`model_not_allowed`).
        InvalidRequest: Anything else, by its code.
    """
    model = permitted(draft.model, key=key, catalog=catalog, operation=operation)
    check_uploads(uploads, operation, model)
    prompt = _prompt(draft, operation)
    check_words(negative_prompt=draft.negative_prompt, user=draft.user)
    n = _count(draft, model)
    sized = _size(draft, model)
    output_format, compression = _format(draft)
    hints, dropped = _hints(draft, model, operation)
    request = GenerationRequest(
        model=model.name,
        prompt=prompt,
        n=n,
        width=sized.width,
        height=sized.height,
        requested_size=sized.requested,
        output_format=output_format,
        output_compression=compression,
        user=draft.user,
        operation=operation,
        failover_on_refusal=draft.failover_on_refusal,
        **hints,
    )
    price = _price(request, sized, model)
    _check_cost(price, draft.max_cost)
    units = model.units_for(sized.tier) * n
    return Composed(
        request,
        units=units,
        price=price,
        dropped=dropped,
        routes=routes_for(draft, request, model, catalog),
    )


def recompose(request: GenerationRequest, *, key: ApiKey, catalog: Catalog) -> Composed:
    """Check a request of earlier against the catalog and the key as they are now.

    Raises:
        UnknownModel: The catalog has no such model any more.
        Forbidden: The key may not ask for it.
        InvalidRequest: No route is left that can do it.
    """
    model = permitted(
        request.model, key=key, catalog=catalog, operation=request.operation
    )
    tier = Size(request.width, request.height).tier
    price = model.quote_for(quality=request.quality, size=request.size, tier=tier)
    return Composed(
        request,
        units=model.units_for(tier) * request.n,
        price=price,
        dropped=(),
        routes=routes_for(Draft(model=request.model), request, model, catalog),
    )


def _prompt(draft: Draft, operation: str) -> str:
    """Return the prompt; images to start from say enough without words."""
    if not draft.prompt and operation != "generate":
        return ""
    if draft.prompt is None:
        raise InvalidRequest("prompt is required", code="missing_field", param="prompt")
    check_prompt(draft.prompt)
    return draft.prompt


def _count(draft: Draft, model: Model) -> int:
    n = 1 if draft.n is None else draft.n
    if n > model.max_n:
        raise InvalidRequest(
            f"this model makes at most {model.max_n} images per request",
            code="n_too_large",
            param="n",
        )
    return n


def _size(draft: Draft, model: Model) -> Sized:
    ratio, config = draft.aspect_ratio, draft.image_config
    if config is None:
        return _resolved(model.sizing, draft.size, ratio, None)
    if None not in (ratio, config.aspect_ratio) and ratio != config.aspect_ratio:
        raise InvalidRequest(
            "aspect_ratio is given twice, and not the same",
            code="incompatible_options",
            param="aspect_ratio",
        )
    return _resolved(
        model.sizing, draft.size, ratio or config.aspect_ratio, config.image_size
    )


@lru_cache(maxsize=1024)
def _resolved(
    sizing: Sizing, size: str | None, ratio: str | None, tier: str | None
) -> Sized:
    # The same few sizes are asked for again and again.
    return resolve(sizing, size=size, aspect_ratio=ratio, image_size=tier)


def _format(draft: Draft) -> tuple[str, int | None]:
    output_format = draft.output_format or "png"
    if output_format == "jpg":
        output_format = "jpeg"
    if output_format == "jpeg" and draft.background == "transparent":
        raise InvalidRequest(
            "jpeg has no transparent background; ask for png or webp",
            code="incompatible_options",
            param="background",
        )
    compression = draft.output_compression
    if output_format != "png" or compression is None:
        return output_format, compression
    if compression < _LOSSLESS:
        raise InvalidRequest(
            "output_compression is for jpeg and webp; png loses nothing",
            code="incompatible_options",
            param="output_compression",
        )
    return output_format, None


def _hints(
    draft: Draft, model: Model, operation: str
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the hints that were given, and the names of those not to be honored."""
    given = {
        name: value for name in _HINTS if (value := getattr(draft, name)) is not None
    }
    honored = model.features if operation == "edit" else model.features - _OF_EDITS
    foreign = [name for name in given if name not in honored]
    # To leave it to the model is something that every model honors.
    dropped = tuple(name for name in foreign if given[name] != "auto")
    if dropped and draft.strict:
        raise InvalidRequest(
            f'this model does not honor {dropped[0]}; "strict": false drops it',
            code="unsupported_field",
            param=dropped[0],
        )
    for name in foreign:
        del given[name]
    return given, dropped


def _price(request: GenerationRequest, sized: Sized, model: Model) -> Quote | None:
    one = model.quote_for(quality=request.quality, size=request.size, tier=sized.tier)
    return None if one is None else one._replace(usd=one.usd * request.n)


def _check_cost(price: Quote | None, most: float | None) -> None:
    if most is None:
        return
    if price is None:
        raise InvalidRequest(
            "nobody has told the catalog what this model costs",
            code="unknown_price",
            param="max_cost",
        )
    if price.usd > Decimal(repr(most)):
        raise InvalidRequest(
            f"this would cost {price.usd} US dollars",
            code="max_cost_exceeded",
            param="max_cost",
        )
