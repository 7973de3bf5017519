"""What the catalog knows, and by which names a model answers.

A model answers to its own name, to its aliases and to the bare name of each of
its provider models (`gpt-image-1`); the first in the file wins. A model whose
name ends in `*` stands for every name that begins so: `test/slow-*` answers
`test/slow-3` with a model of that very name and route.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import ROUND_CEILING, Decimal
from typing import NamedTuple, TypeAlias, TypeVar

from service.core.errors import UnknownModel
from service.core.sizing import Sizing

Price: TypeAlias = "Decimal | Mapping[str, Price]"
"""US dollars per image, or a table of them by quality, size or tier."""

DEFAULT_PRICE = "default"
"""Key of a price table that stands for everything it does not name."""

_V = TypeVar("_V")

_PRICED, _ESTIMATED = "priced", "estimated"

_UNITS = {"4K": 12_500}
_USUAL_UNITS = 5_000
_REST = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One way to get an image of a model.

    Attributes:
        provider: Name of the provider in the catalog.
        provider_model: The provider's own name for the model.
    """

    provider: str
    provider_model: str

    @classmethod
    def parse(cls, text: str) -> "Route":
        """Read what `str` made of a route."""
        provider, _, model = text.partition("/")
        return cls(provider=provider, provider_model=model)

    def __str__(self) -> str:
        return f"{self.provider}/{self.provider_model}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderEntry:
    """One provider as the operator configured it.

    Attributes:
        name: What routes call it.
        adapter: Which of `ADAPTERS` speaks to it.
        base_url: Where it is, without a slash at its end; empty where the adapter
            calls nobody.
        api_key_env: Environment variable that holds its key.
        api_key_file: File that holds its key; with neither, it needs none.
        max_in_flight: Calls at once over the whole fleet; None: no limit.
        requests_per_minute: Over the whole fleet; None: no limit.
        max_images_in_flight: Images that calls are under way for, over the whole fleet;
            None: no limit.
        timeout: One call takes no longer than this.
        workflow_file: A graph for ComfyUI, in its API format.
    """

    name: str
    adapter: str
    base_url: str = ""
    api_key_env: str | None = None
    api_key_file: str | None = None
    max_in_flight: int | None = None
    requests_per_minute: int | None = None
    max_images_in_flight: int | None = None
    timeout: timedelta = timedelta(minutes=3)
    workflow_file: str | None = None

    @property
    def is_gated(self) -> bool:
        """Whether there is anything to count: what draws by itself never fails."""
        limits = (
            self.max_in_flight,
            self.requests_per_minute,
            self.max_images_in_flight,
        )
        return self.adapter != "test" or any(limits)


class Quote(NamedTuple):
    """What one image should cost.

    Attributes:
        usd: US dollars.
        source: `priced` where the catalog names the very case, `estimated` where a
            table's default stands for it.
    """

    usd: Decimal
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """One model that clients may ask for.

    Attributes:
        name: Canonical name, such as `openai/gpt-image-1`.
        routes: At least one, best first.
        features: Which of `FEATURES` it has.
        sizing: What it can draw.
        output_formats: What it sends by itself; others are transcoded.
        max_n: Greatest number of images in one request.
        price_usd: See `quote_for`; None: unknown.
        token_multiplier: See `units_for`.
        embed: Whether `GET /embed/image:{model}` may ask for it.
        strategy: Which of `STRATEGIES` orders its routes.
        weights: By route; how often it comes first, next to the others (1 if unsaid).
        route_prices: By route, US dollars an image, for `cheapest`.
        route_features: By route that can do less than the model says.
        hedge_after: So long the first route has to itself, then a second is called
            beside it; None: never.
    """

    name: str
    routes: tuple[Route, ...]
    features: frozenset[str]
    sizing: Sizing
    output_formats: tuple[str, ...] = ("png",)
    max_n: int = 1
    price_usd: "Price | None" = None
    token_multiplier: Decimal = Decimal(1)
    embed: bool = False
    strategy: str = "priority"
    weights: Mapping[str, int] = field(default_factory=dict)
    route_prices: Mapping[str, Decimal] = field(default_factory=dict)
    route_features: Mapping[str, frozenset[str]] = field(default_factory=dict)
    hedge_after: timedelta | None = None

    @property
    def is_pattern(self) -> bool:
        """Whether it stands for all names that begin like its own."""
        return self.name.endswith("*")

    def price_for(self, *, quality: str | None, size: str, tier: str) -> Decimal | None:
        """Return US dollars for one image; None where the catalog does not say.

        Takes what `quote_for` does.
        """
        quote = self.quote_for(quality=quality, size=size, tier=tier)
        return None if quote is None else quote.usd

    def quote_for(self, *, quality: str | None, size: str, tier: str) -> Quote | None:
        """Return what one image costs; None where the catalog does not say.

        Args:
            quality: As requested; None: unsaid.
            size: `WIDTHxHEIGHT`.
            tier: `1K`, `2K` or `4K`.
        """
        price, source = self.price_usd, _PRICED
        keys = (quality, size, tier, DEFAULT_PRICE)
        while isinstance(price, Mapping):
            key = next((k for k in keys if k is not None and k in price), None)
            if key == DEFAULT_PRICE:
                source = _ESTIMATED
            price = None if key is None else price[key]
        return None if price is None else Quote(price, source)

    def units_for(self, tier: str) -> int:
        """Return the quota units of one image: 5,000, or 12,500 at 4K, times ours."""
        units = _UNITS.get(tier, _USUAL_UNITS) * self.token_multiplier
        return int(units.to_integral_value(ROUND_CEILING))

    def named(self, name: str) -> "Model":
        """Return the one model that a pattern stands for under `name`."""
        rest = name.removeprefix(self.name.removesuffix("*"))

        def filled(by_route: Mapping[str, _V]) -> dict[str, _V]:
            return {route.replace("*", rest): v for route, v in by_route.items()}

        routes = tuple(
            replace(route, provider_model=route.provider_model.replace("*", rest))
            for route in self.routes
        )
        return replace(
            self,
            name=name,
            routes=routes,
            weights=filled(self.weights),
            route_prices=filled(self.route_prices),
            route_features=filled(self.route_features),
        )

    def answers(self, name: str) -> bool:
        """Whether `name` is one that this pattern stands for."""
        start = self.name.removesuffix("*")
        return name.startswith(start) and bool(_REST.fullmatch(name[len(start) :]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalog:
    """All providers, models and aliases, in the order of the file."""

    providers: Mapping[str, ProviderEntry]
    models: Mapping[str, Model]
    aliases: Mapping[str, str]
    _by_name: Mapping[str, str] = field(init=False, repr=False, compare=False)
    _patterns: tuple[Model, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        models = self.models.values()
        by_name = {name: name for name, m in self.models.items() if not m.is_pattern}
        for alias, name in self.aliases.items():
            by_name.setdefault(alias, name)
        for model in (m for m in models if not m.is_pattern):
            for route in model.routes:
                by_name.setdefault(route.provider_model, model.name)
        object.__setattr__(self, "_by_name", by_name)
        patterns = tuple(m for m in models if m.is_pattern)
        object.__setattr__(self, "_patterns", patterns)

    def model(self, name: str) -> Model:
        """Return the model that answers to `name`.

        Raises:
            UnknownModel: None does.
        """
        canonical = self._by_name.get(name, name)
        model = self.models.get(canonical)
        if model is not None and not model.is_pattern:
            return model
        for pattern in self._patterns:
            if pattern.answers(canonical):
                return pattern.named(canonical)
        raise UnknownModel(f"there is no model {name[:80]!r}", param="model")
