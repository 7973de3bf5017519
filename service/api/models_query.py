"""The query of the model maps: `type sort name provider free limit`.

A parameter without a value says nothing, but is enough to ask for a map.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from math import inf
from typing import Any

from aiohttp import web

from service.api.listing import one_of
from service.api.models_map import price_range
from service.api.wishes import refuse_unknown
from service.core.catalog import Model
from service.core.errors import InvalidRequest

_NAMES = ("type", "sort", "name", "provider", "free", "limit")
_LIMIT = re.compile(r"[1-9][0-9]{0,5}")
_FLAGS = {"true": True, "false": False}
_TYPES = ("image", "video")
"""Nothing makes videos here, but those who look for them are told so politely."""

_ORDERS: Mapping[str, Callable[[Model], Any]] = {
    # Models have no date; the catalog stands in the order its author finds right.
    "date": lambda _: 0,
    "name": lambda model: model.name.lower(),
    "provider": lambda model: _maker(model).lower(),
    "price": lambda model: inf if (usd := _usual(model)) is None else usd,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelQuery:
    """Which models are wanted, and in what order.

    Attributes:
        kind: What they make, `image` or `video`; None: all of it.
        name: A part of the model's name, in any case.
        provider: A part of the first part of its name, or of a provider of its.
        free: Whether every image is free; None: either.
        sort: Key of an order.
        limit: The most models; None: all.
    """

    kind: str | None = None
    name: str = ""
    provider: str = ""
    free: bool | None = None
    sort: str = "date"
    limit: int | None = None

    def select(self, models: Iterable[Model]) -> list[Model]:
        """Return the wanted ones of `models`."""
        found = sorted(filter(self._matches, models), key=_ORDERS[self.sort])
        return found[: self.limit]

    def _matches(self, model: Model) -> bool:
        if self.kind == "video" or self.name not in model.name.lower():
            return False
        if self.free is not None and self.free != (price_range(model)["max"] == 0):
            return False
        makers = (_maker(model), *(route.provider for route in model.routes))
        return any(self.provider in maker.lower() for maker in makers)


def read_query(request: web.Request) -> ModelQuery | None:
    """Read the query; None: it does not ask for a map.

    Raises:
        InvalidRequest: `unknown_param`, `duplicate_param`, `invalid_enum` or
            `invalid_pagination`.
    """
    refuse_unknown(request, *_NAMES)
    if not request.query:
        return None
    given = {name: value for name, value in request.query.items() if value}
    limit = given.get("limit")
    if limit is not None and not _LIMIT.fullmatch(limit):
        raise InvalidRequest(
            "limit must be a whole number of models, at least 1",
            code="invalid_pagination",
            param="limit",
        )
    free = one_of(given, "free", tuple(_FLAGS))
    return ModelQuery(
        kind=one_of(given, "type", _TYPES),
        name=given.get("name", "").lower(),
        provider=given.get("provider", "").lower(),
        free=None if free is None else _FLAGS[free],
        sort=one_of(given, "sort", tuple(_ORDERS)) or "date",
        limit=None if limit is None else int(limit),
    )


def _maker(model: Model) -> str:
    return model.name.partition("/")[0]


def _usual(model: Model) -> float | None:
    return price_range(model)["average"]
