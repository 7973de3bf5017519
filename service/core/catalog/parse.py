"""Reads the catalog's TOML; checks all of it before anybody sees any of it.

Every wrong provider and model is named in one error, so that mending a file does
not take as many tries as it has mistakes; aliases are looked at when those are right.
"""

import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from functools import partial
from typing import TypeVar

from service.core.catalog.model import (
    DEFAULT_PRICE,
    Catalog,
    Model,
    Price,
    ProviderEntry,
    Route,
)
from service.core.catalog.sizes import read_sizing
from service.core.catalog.table import Mistake, Table
from service.core.errors import CatalogError, InvalidRequest, UnknownModel
from service.core.sizing import TIERS, parse_size

ADAPTERS = (
    "a1111",
    "azure_openai",
    "bedrock",
    "bfl",
    "comfyui",
    "deepinfra",
    "fal",
    "gemini",
    "horde",
    "huggingface",
    "ideogram",
    "openai",
    "openrouter",
    "replicate",
    "runware",
    "stability",
    "test",
    "together",
    "vertex_imagen",
    "xai",
)
"""Modules of `workers.providers`; listed here because `service` never imports it."""

FEATURES = (
    "generate",
    "edit",
    "mask",
    "variation",
    "quality",
    "style",
    "background",
    "moderation",
    "input_fidelity",
    "seed",
    "negative_prompt",
)
OUTPUT_FORMATS = ("png", "jpeg", "webp")
QUALITIES = ("low", "medium", "high", "standard", "hd")
STRATEGIES = ("priority", "weighted", "cheapest", "fastest")

_PROVIDER_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")
_MODEL_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,126}\*?")
_BASE_URL = re.compile(r"https?://[^\s/?#@]+(/[^\s?#@]*)?")
_TWO = 2
_BARE = re.compile(r"[A-Za-z0-9_-]+")

_V = TypeVar("_V")
_T = TypeVar("_T")


def parse_catalog(text: str, *, file: str) -> Catalog:
    """Read a catalog; `file` is what messages call it.

    Raises:
        CatalogError: With the file, the path of each wrong key, and why.
    """
    try:
        raw = tomllib.loads(text, parse_float=Decimal)
    except tomllib.TOMLDecodeError as exc:
        raise CatalogError(f"{file} is not TOML: {exc}") from exc
    sections = ("providers", "models", "aliases")
    mistakes = [Mistake(k, "is not known here") for k in raw if k not in sections]
    named = raw.get("providers")
    known = frozenset(named if isinstance(named, dict) else ())
    providers = _read_all(raw, "providers", mistakes, _provider)
    models = _read_all(raw, "models", mistakes, partial(_model, providers=known))
    if not models and not mistakes:
        mistakes.append(Mistake("models", "must name at least one"))
    catalog = Catalog(providers=providers, models=models, aliases={})
    aliases: dict[str, str] = {}
    if not mistakes:
        aliases = _read_all(raw, "aliases", mistakes, partial(_alias, catalog=catalog))
    if mistakes:
        raise CatalogError(f"{file}: " + "; ".join(map(str, mistakes)))
    return replace(catalog, aliases=aliases)


def _read_all(
    raw: Mapping[str, object],
    section: str,
    mistakes: list[Mistake],
    read: Callable[[str, object, str], _T],
) -> dict[str, _T]:
    entries = raw.get(section, {})
    if not isinstance(entries, dict):
        mistakes.append(Mistake(section, "must be a table"))
        return {}
    done = {}
    for name, value in entries.items():
        path = f"{section}.{name}" if _BARE.fullmatch(name) else f'{section}."{name}"'
        try:
            done[name] = read(name, value, path)
        except Mistake as mistake:
            mistakes.append(mistake)
    return done


def _provider(name: str, value: object, path: str) -> ProviderEntry:
    table = Table(value, path)
    if not _PROVIDER_NAME.fullmatch(name):
        raise Mistake(path, "a provider's name is small letters, digits, - and _")
    adapter = table.required("adapter", table.choice("adapter", ADAPTERS))
    base_url = table.text("base_url") or ""
    if adapter != "test" and not _BASE_URL.fullmatch(base_url):
        raise table.wrong("base_url", "must be an http or https URL without a query")
    entry = ProviderEntry(
        name=name,
        adapter=adapter,
        base_url=base_url.rstrip("/"),
        api_key_env=table.text("api_key_env"),
        api_key_file=table.text("api_key_file"),
        max_in_flight=table.whole("max_in_flight", 1, 100_000),
        requests_per_minute=table.whole("requests_per_minute", 1, 1_000_000),
        max_images_in_flight=table.whole("max_images_in_flight", 1, 100_000),
        timeout=timedelta(seconds=float(table.number("timeout_s", 1, 3600) or 180)),
        workflow_file=table.text("workflow_file"),
    )
    if entry.api_key_env and entry.api_key_file:
        raise table.wrong("api_key_file", "cannot stand beside api_key_env")
    table.finish()
    return entry


def _model(name: str, value: object, path: str, providers: frozenset[str]) -> Model:
    table = Table(value, path)
    if not _MODEL_NAME.fullmatch(name):
        raise Mistake(path, "is not a name that a model can have")
    listed = table.required("routes", table.texts("routes"))
    price = table.any("price_usd")
    model = Model(
        name=name,
        routes=tuple(_route(text, name, table, providers) for text in listed),
        features=frozenset(table.choices("features", FEATURES) or ("generate",)),
        sizing=read_sizing(table),
        output_formats=table.choices("output_formats", OUTPUT_FORMATS) or ("png",),
        max_n=table.whole("max_n", 1, 10) or 1,
        price_usd=None if price is None else _price(table, "price_usd", price),
        token_multiplier=table.number("token_multiplier", Decimal("0.001"), 1000)
        or Decimal(1),
        embed=table.flag("embed") or False,
        strategy=table.choice("strategy", STRATEGIES) or "priority",
        weights=_by_route(
            table, "weights", listed, lambda t, route: t.whole(route, 1, 1000)
        ),
        route_prices=_by_route(
            table, "route_prices", listed, lambda t, route: t.number(route, 0, 1000)
        ),
        route_features=_by_route(
            table,
            "route_features",
            listed,
            lambda t, route: _features(t.choices(route, FEATURES)),
        ),
        hedge_after=_seconds(table.number("hedge_after_s", Decimal("0.1"), 3600)),
    )
    if model.hedge_after is not None and len(model.routes) < _TWO:
        raise table.wrong("hedge_after_s", "needs a second route")
    table.finish()
    return model


def _seconds(number: Decimal | None) -> timedelta | None:
    return None if number is None else timedelta(seconds=float(number))


def _features(named: tuple[str, ...] | None) -> frozenset[str] | None:
    return None if named is None else frozenset(named)


def _by_route(
    table: Table,
    key: str,
    routes: tuple[str, ...],
    read: Callable[[Table, str], _V | None],
) -> dict[str, _V]:
    """Read a table whose keys are some of the model's routes."""
    value = table.any(key)
    if value is None:
        return {}
    inner = Table(value, f"{table.path}.{key}")
    for route in value:
        if route not in routes:
            raise inner.wrong(route, "is no route of this model")
    found = {route: read(inner, route) for route in routes}
    return {route: value for route, value in found.items() if value is not None}


def _route(
    text: str, model_name: str, table: Table, providers: frozenset[str]
) -> Route:
    provider, _, provider_model = text.partition("/")
    if not provider_model:
        raise table.wrong("routes", f"{text!r} is not PROVIDER/PROVIDER-MODEL")
    if provider not in providers:
        raise table.wrong("routes", f"{text!r} leads to an unknown provider")
    if provider_model.endswith("*") and not model_name.endswith("*"):
        raise table.wrong("routes", f"{text!r} is a pattern, and the model is not")
    return Route(provider=provider, provider_model=provider_model)


def _price(table: Table, key: str, value: object) -> Price:
    if not isinstance(value, dict):
        return table.as_number(key, value, 0, 1000)
    prices = {}
    for name, inner in value.items():
        if not _is_price_key(name):
            raise table.wrong(f"{key}.{name}", "is no quality, size, tier or default")
        prices[name] = _price(table, f"{key}.{name}", inner)
    return prices


def _is_price_key(name: str) -> bool:
    if name in {*QUALITIES, *TIERS, DEFAULT_PRICE}:
        return True
    try:
        parse_size(name)
    except InvalidRequest:
        return False
    return True


def _alias(name: str, target: object, path: str, catalog: Catalog) -> str:
    if name in catalog.models:
        raise Mistake(path, "is the name of a model already")
    if not _MODEL_NAME.fullmatch(name) or name.endswith("*"):
        raise Mistake(path, "is not a name that an alias can have")
    if not isinstance(target, str):
        raise Mistake(path, "must be the name of a model")
    try:
        model = catalog.model(target)
    except UnknownModel as exc:
        raise Mistake(path, f"leads to {target!r}, which is no model") from exc
    return model.name
