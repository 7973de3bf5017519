"""`/v1/models` as OpenAI's list, with what each model can do beside."""

import time
from typing import Any
from urllib.parse import unquote

from aiohttp import web

from service.accounts import ApiKey
from service.api.answers import answer
from service.api.auth import authorized
from service.api.context import FRONT
from service.api.wishes import refuse_unknown
from service.core.catalog import Catalog, Model
from service.core.errors import UnknownModel
from service.intake.compose import allows

routes = web.RouteTableDef()

_SINCE_S = int(time.time())
"""OpenAI's objects say when a model was made; ours was known when we started."""


@routes.get("/v1/models")
async def list_models(request: web.Request) -> web.Response:
    """List the models that the key may ask for, and their aliases."""
    key = await authorized(request)
    refuse_unknown(request)
    catalog = request.app[FRONT].catalog
    named = [(name, m) for name, m in catalog.models.items() if not m.is_pattern]
    named += [(alias, catalog.model(name)) for alias, name in catalog.aliases.items()]
    data = [_shown(name, m) for name, m in named if allows(key, m, catalog)]
    return answer({"object": "list", "data": data})


@routes.get("/v1/models/{name:.+}")
async def get_model(request: web.Request) -> web.Response:
    """Show one model by any of its names; a slash may come as %2F."""
    key = await authorized(request)
    name = unquote(request.match_info["name"])
    return answer(_shown(name, _allowed(name, key, request.app[FRONT].catalog)))


def _allowed(name: str, key: ApiKey, catalog: Catalog) -> Model:
    model = catalog.model(name)
    if not allows(key, model, catalog):
        raise UnknownModel(f"there is no model {name[:80]!r}", param="model")
    return model


def _shown(name: str, model: Model) -> dict[str, Any]:
    return {
        "id": name,
        "object": "model",
        "created": _SINCE_S,
        "owned_by": model.routes[0].provider,
        "canonical": model.name,
        "features": sorted(model.features),
        "output_formats": list(model.output_formats),
        "default_size": str(model.sizing.offer.default),
        "max_n": model.max_n,
        "token_multiplier": float(model.token_multiplier),
    }
