"""Which models there are: OpenAI's list, and ImageRouter's maps keyed by name.

The list is for keys. The maps answer everybody, as at ImageRouter, unless a setting
closes the catalog; who sends a key all the same sees what that key may ask for.
"""

import time
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

from aiohttp import web

from service.accounts import ApiKey
from service.api.answers import answer
from service.api.auth import authorized, authorized_unless_open
from service.api.context import FRONT
from service.api.models_map import described, described_v2
from service.api.models_query import ModelQuery, read_query
from service.core.catalog import Catalog, Model
from service.core.errors import UnknownModel
from service.intake.permits import allows
from service.job_store.fleet import Fleet

routes = web.RouteTableDef()

_SINCE_S = int(time.time())
"""OpenAI's objects say when a model was made; ours was known when we started."""


@routes.get("/v1/models")
async def list_models(request: web.Request) -> web.Response:
    """List the models and their aliases; with a filter, map them by name."""
    query = read_query(request)
    if query is not None:
        return await _mapped(request, query, described)
    key = await authorized(request)
    catalog = request.app[FRONT].catalog
    named = [(name, m) for name, m in catalog.models.items() if not m.is_pattern]
    named += [(alias, catalog.model(name)) for alias, name in catalog.aliases.items()]
    fleet = request.app[FRONT].fleet
    data = [_shown(name, m, fleet) for name, m in named if allows(key, m, catalog)]
    return answer({"object": "list", "data": data})


@routes.get("/v1/openai/models")
@routes.get("/v1/openai/images/models")
async def map_models(request: web.Request) -> web.Response:
    """Map the models by name, as version 1 does."""
    return await _mapped(request, read_query(request), described)


@routes.get("/v2/models")
async def map_models_v2(request: web.Request) -> web.Response:
    """Map the models by name, as version 2 does."""
    return await _mapped(request, read_query(request), described_v2)


@routes.get(r"/v1/models/{name:[\s\S]+}")
async def get_model(request: web.Request) -> web.Response:
    """Show one model by any of its names; a slash may come as %2F."""
    key = await authorized(request)
    name, front = unquote(request.match_info["name"]), request.app[FRONT]
    model = _allowed(name, key, front.catalog)
    return answer(_shown(name, model, front.fleet))


async def _mapped(
    request: web.Request,
    query: ModelQuery | None,
    describe: Callable[[Model], dict[str, Any]],
) -> web.Response:
    key = await authorized_unless_open(request)
    front = request.app[FRONT]
    catalog, fleet = front.catalog, front.fleet
    models = (m for m in catalog.models.values() if not m.is_pattern)
    seen = [m for m in models if key is None or allows(key, m, catalog)]
    wanted = (query or ModelQuery()).select(seen)
    return answer(
        {m.name: describe(m) | {"available": fleet.can_call(m.routes)} for m in wanted}
    )


def _allowed(name: str, key: ApiKey, catalog: Catalog) -> Model:
    model = catalog.model(name)
    if not allows(key, model, catalog):
        raise UnknownModel(f"there is no model {name[:80]!r}", param="model")
    return model


def _shown(name: str, model: Model, fleet: Fleet) -> dict[str, Any]:
    return {
        "id": name,
        "object": "model",
        "created": _SINCE_S,
        "owned_by": model.routes[0].provider,
        "canonical": model.name,
        **described(model),
        "available": fleet.can_call(model.routes),
    }
