"""What to ask a provider for when it is tested: as little as it can be paid for."""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from service.core.catalog import Catalog, Model, Quote, Route
from service.core.errors import UnknownModel
from service.core.requests import GenerationRequest
from service.core.sizing import ExactSizes, Size, Sizing

_DEAR = Decimal(10**6)
"""What a model is taken to cost that the catalog says nothing of."""


class NotTestable(Exception):
    """There is nothing to ask the provider for; the message says why."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What will be asked for.

    Attributes:
        quote: What it should cost; None: the catalog does not say.
    """

    route: Route
    request: GenerationRequest
    quote: Quote | None

    @property
    def price(self) -> str:
        """What it should cost, in words."""
        if self.quote is None:
            return "at a price that the catalog does not know"
        return f"about ${self.quote.usd:f}" if self.quote.usd else "free"


def plan_for(
    catalog: Catalog,
    provider: str,
    *,
    model: str | None,
    prompt: str,
    output_format: str,
) -> Plan:
    """Return the cheapest image of the provider, or the smallest one of `model`.

    Raises:
        NotTestable: The catalog has no such provider or model, no route between
            them, or none that makes images from words alone.
    """
    if provider not in catalog.providers:
        known = ", ".join(catalog.providers)
        raise NotTestable(f"there is no provider {provider}: there are {known}")
    try:
        named = [catalog.model(model)] if model else catalog.models.values()
    except UnknownModel as exc:
        raise NotTestable(str(exc)) from exc
    plans = [
        Plan(route, *_smallest(each, prompt, output_format))
        for each in named
        if not each.is_pattern
        for route in _drawing_routes(each, provider)
    ]
    if not plans:
        of = f"of model {model}" if model else "by a model of the catalog"
        raise NotTestable(f"{provider} has no route to an image from words {of}")
    return min(plans, key=lambda plan: plan.quote.usd if plan.quote else _DEAR)


def _drawing_routes(model: Model, provider: str) -> Iterator[Route]:
    for route in model.routes:
        features = model.route_features.get(str(route), model.features)
        if route.provider == provider and "generate" in features:
            yield route


def _smallest(
    model: Model, prompt: str, output_format: str
) -> tuple[GenerationRequest, Quote | None]:
    size = _smallest_size(model.sizing)
    quality = "low" if "quality" in model.features else None
    request = GenerationRequest(
        model=model.name,
        prompt=prompt,
        width=size.width,
        height=size.height,
        quality=quality,
        output_format=output_format,
    )
    return request, model.quote_for(quality=quality, size=str(size), tier=size.tier)


def _smallest_size(sizing: Sizing) -> Size:
    offer = sizing.offer
    if isinstance(offer, ExactSizes):
        return min(offer.sizes, key=lambda size: size.pixels)
    return offer.nearest(Size(offer.shortest, offer.shortest))
