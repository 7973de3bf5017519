"""In which order a job's routes are tried; which are open is decided when it runs.

The caller may keep to some providers, or leave some out; the catalog says which
routes can do what is asked, and how the rest are ordered.
"""

import math
import random
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal

from service.core.catalog import Catalog, Model, Route
from service.core.errors import InvalidRequest, QueueUnavailable
from service.core.requests import GenerationRequest
from service.intake.draft import Draft
from service.job_store import JobStore

_UNKNOWN = Decimal(10**6)
"""What a route is taken to cost that the catalog says nothing of."""
_TRIED = 0.05
"""How often a route that is not the fastest comes first, to see whether it is."""


def routes_for(
    draft: Draft,
    request: GenerationRequest,
    model: Model,
    catalog: Catalog,
    *,
    dice: Callable[[], float] = random.random,
) -> tuple[Route, ...]:
    """Return the routes that may be tried, in order.

    Raises:
        InvalidRequest: None is left (`no_provider_left`), or a provider is named that
            the catalog does not have (`unknown_provider`).
    """
    routes = [route for route in model.routes if _can(model, route, request)]
    routes = _kept(draft, routes, catalog)
    if not routes:
        raise InvalidRequest(
            "this model has no route left that can do what is asked for",
            code="no_provider_left",
            param="model",
        )
    return tuple(_ordered(routes, model, dice))


async def in_order(
    routes: Sequence[Route],
    model: Model,
    jobs: JobStore,
    *,
    dice: Callable[[], float] = random.random,
) -> tuple[Route, ...]:
    """Return the routes of a `fastest` model in their order, and others as they are.

    Where Redis cannot be asked, they stay as the catalog lists them.
    """
    if model.strategy != "fastest" or len(routes) < 2:  # noqa: PLR2004 - a choice
        return tuple(routes)
    try:
        speeds = await jobs.speeds([str(route) for route in routes])
    except QueueUnavailable:
        return tuple(routes)
    return by_speed(routes, speeds, dice=dice)


def by_speed(
    routes: Sequence[Route],
    speeds: Mapping[str, float],
    *,
    dice: Callable[[], float] = random.random,
) -> tuple[Route, ...]:
    """Return the fastest first, the unmeasured last; now and then another comes first.

    Else nobody would learn that it has become the fastest. Unmeasured ones are tried
    before others.

    Args:
        routes: At least one.
        speeds: Milliseconds by route.
        dice: Numbers in [0, 1).
    """
    ordered = sorted(routes, key=lambda route: speeds.get(str(route), math.inf))
    if dice() < _TRIED and len(ordered) > 1:
        others = [r for r in ordered[1:] if str(r) not in speeds] or ordered[1:]
        tried = others[int(dice() * len(others))]
        ordered.remove(tried)
        ordered.insert(0, tried)
    return tuple(ordered)


def gated(routes: Sequence[Route], model: Model, catalog: Catalog) -> tuple[str, ...]:
    """Return the routes for the record; none where they say nothing of their own.

    That is where nothing needs to be counted or measured, and they are all the model
    has, in its order.
    """
    if model.strategy == "fastest":
        return tuple(str(route) for route in routes)
    entries = (catalog.providers[route.provider] for route in routes)
    if tuple(routes) == model.routes and not any(entry.is_gated for entry in entries):
        return ()
    return tuple(str(route) for route in routes)


def _can(model: Model, route: Route, request: GenerationRequest) -> bool:
    features = model.route_features.get(str(route), model.features)
    return request.operation in features


def _kept(draft: Draft, routes: Sequence[Route], catalog: Catalog) -> list[Route]:
    wanted = [draft.provider] if isinstance(draft.provider, str) else draft.provider
    for name in (*(wanted or ()), *(draft.exclude_providers or ())):
        if name not in catalog.providers:
            raise InvalidRequest(
                f"there is no provider {name[:64]!r}",
                code="unknown_provider",
                param="provider",
            )
    left_out = set(draft.exclude_providers or ())
    return [
        route
        for route in routes
        if (wanted is None or route.provider in wanted)
        and route.provider not in left_out
    ]


def _ordered(
    routes: list[Route], model: Model, dice: Callable[[], float]
) -> list[Route]:
    match model.strategy:
        case "cheapest":
            prices = model.route_prices
            return sorted(routes, key=lambda route: prices.get(str(route), _UNKNOWN))
        case "weighted":
            # Weighted sampling without putting back (Efraimidis and Spirakis).
            weights = model.weights
            return sorted(
                routes,
                key=lambda route: dice() ** (1 / weights.get(str(route), 1)),
                reverse=True,
            )
        case _:
            return routes
