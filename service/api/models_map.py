"""What the catalog says of a model, in the words of ImageRouter's model maps.

The two versions of the map say the same in other places; everything that only we
know stands in both, and in OpenAI's objects too.
"""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from service.core.catalog import Model, Price
from service.core.sizing import ExactSizes


def described(model: Model) -> dict[str, Any]:
    """Return the model's entry in a map of version 1."""
    pricing = _pricing(model)
    return {
        "providers": [
            {
                "id": route.provider,
                "model_name": route.provider_model,
                "pricing": pricing,
            }
            for route in model.routes
        ],
        "sizes": _sizes(model),
        "supported_params": {"edit": "edit" in model.features, **_params(model)},
        **_common(model),
    }


def described_v2(model: Model) -> dict[str, Any]:
    """Return the model's entry in a map of version 2."""
    return {
        "price": price_range(model),
        "inputs": {
            "image": "edit" in model.features,
            **_params(model),
            "size": _sizes(model),
        },
        **_common(model),
    }


def price_range(model: Model) -> dict[str, float | None]:
    """Return the least, the usual and the greatest price of an image in US dollars.

    The usual one is what a request pays that leaves size and quality to the model;
    `average` is only what it is called. None: the catalog does not say.
    """
    default = model.sizing.offer.default
    usual = model.price_for(quality=None, size=str(default), tier=default.tier)
    prices = list(_prices(model.price_usd))
    return {
        "min": float(min(prices)) if prices else None,
        "average": None if usual is None else float(usual),
        "max": float(max(prices)) if prices else None,
    }


def _common(model: Model) -> dict[str, Any]:
    return {
        "output": ["image"],
        "features": sorted(model.features),
        "output_formats": list(model.output_formats),
        "default_size": str(model.sizing.offer.default),
        "max_n": model.max_n,
        "token_multiplier": float(model.token_multiplier),
        "embed": model.embed,
    }


def _pricing(model: Model) -> dict[str, Any]:
    if model.price_usd is None:
        return {"type": "post_generation"}
    if isinstance(model.price_usd, Decimal):
        return {"type": "fixed", "value": float(model.price_usd)}
    return {"type": "calculated", "range": price_range(model)}


def _prices(price: "Price | None") -> Iterator[Decimal]:
    if isinstance(price, Mapping):
        for inner in price.values():
            yield from _prices(inner)
    elif price is not None:
        yield price


def _params(model: Model) -> dict[str, bool]:
    return {name: name in model.features for name in ("mask", "quality")}


def _sizes(model: Model) -> list[str]:
    offer = model.sizing.offer
    if isinstance(offer, ExactSizes):
        return ["auto", *map(str, offer.sizes)]
    return ["custom"]
