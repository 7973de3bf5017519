"""`/v1/endpoints`: where an account wants to hear of its events."""

from datetime import timedelta
from http import HTTPStatus
from typing import Any, TypeVar

from aiohttp import web
from pydantic import BaseModel

from service.api.answers import answer
from service.api.auth import authorized
from service.api.body import read_json
from service.api.context import FRONT, TRACE
from service.api.wishes import idempotency_name, refuse_unknown
from service.core.webhooks import checked_secret, new_secret
from service.intake.fields import read_fields
from service.webhooks.endpoints import Endpoint
from service.webhooks.shown import delivery_object, endpoint_object
from service.webhooks.wishes import (
    EndpointChange,
    EndpointDraft,
    Rotation,
    fields_of,
)

routes = web.RouteTableDef()

_B = TypeVar("_B", bound=BaseModel)


@routes.post("/v1/endpoints")
async def create_endpoint(request: web.Request) -> web.Response:
    """Make an endpoint; its secret is shown to this call and its repeats alone."""
    key = await authorized(request)
    draft = await _read(request, EndpointDraft)
    front = request.app[FRONT]
    endpoint, is_known = await front.endpoints.create(
        key.account,
        url=front.urls.checked(draft.url, param="url"),
        events=draft.events or ("*",),
        description=draft.description,
        secret=_secret(draft.secret),
        name=idempotency_name(request),
    )
    if is_known:
        request[TRACE].headers["Idempotent-Replayed"] = "true"
    return answer(_with_secret(endpoint), status=HTTPStatus.CREATED)


@routes.get("/v1/endpoints")
async def list_endpoints(request: web.Request) -> web.Response:
    """Answer with all endpoints of the account, oldest first."""
    key = await authorized(request)
    refuse_unknown(request)
    found = await request.app[FRONT].endpoints.list(key.account)
    shown = [endpoint_object(endpoint) for endpoint in found]
    return answer({"object": "list", "data": shown})


@routes.get("/v1/endpoints/{endpoint_id}")
async def get_endpoint(request: web.Request) -> web.Response:
    """Answer with the endpoint as it stands."""
    key = await authorized(request)
    endpoint = await request.app[FRONT].endpoints.get(_id(request), account=key.account)
    return answer(endpoint_object(endpoint))


@routes.patch("/v1/endpoints/{endpoint_id}")
async def change_endpoint(request: web.Request) -> web.Response:
    """Change what is named, and nothing else."""
    key = await authorized(request)
    change = await _read(request, EndpointChange)
    front = request.app[FRONT]
    endpoint = await front.endpoints.change(
        _id(request), account=key.account, fields=fields_of(change, front.urls)
    )
    return answer(endpoint_object(endpoint))


@routes.delete("/v1/endpoints/{endpoint_id}")
async def delete_endpoint(request: web.Request) -> web.Response:
    """Remove the endpoint."""
    key = await authorized(request)
    await request.app[FRONT].endpoints.delete(_id(request), account=key.account)
    return web.Response(status=HTTPStatus.NO_CONTENT)


@routes.post("/v1/endpoints/{endpoint_id}/rotate")
async def rotate_endpoint(request: web.Request) -> web.Response:
    """Give the endpoint another secret; the old one signs as well for a while."""
    key = await authorized(request)
    endpoints = request.app[FRONT].endpoints
    known = await endpoints.get(_id(request), account=key.account)
    wish = await _read(request, Rotation) if request.can_read_body else Rotation()
    endpoint = await endpoints.change(
        known.id,
        account=key.account,
        fields={"secret": _secret(wish.secret) or new_secret()},
        overlap=timedelta(seconds=wish.overlap_s),
    )
    return answer(_with_secret(endpoint))


@routes.post("/v1/endpoints/{endpoint_id}/test")
async def test_endpoint(request: web.Request) -> web.Response:
    """Send the endpoint an event that means nothing."""
    key = await authorized(request)
    front = request.app[FRONT]
    made = await front.endpoints.test(_id(request), account=key.account)
    delivery = await front.deliveries.get(made, account=key.account)
    return answer(delivery_object(delivery), status=HTTPStatus.ACCEPTED)


@routes.get("/v1/webhooks/default/secret")
async def get_default_secret(request: web.Request) -> web.Response:
    """Answer with what signs deliveries to the URLs that jobs name themselves."""
    key = await authorized(request)
    secret = await request.app[FRONT].endpoints.default_secret(key.account)
    return answer({"key": secret}, headers={"Cache-Control": "no-store"})


async def _read(request: web.Request, kind: type[_B]) -> _B:
    limits = request.app[FRONT].settings.limits
    fields = await read_json(
        request, most_bytes=limits.json_bytes, within_s=limits.body_s
    )
    return read_fields(kind, fields)


def _id(request: web.Request) -> str:
    return request.match_info["endpoint_id"]


def _secret(given: str | None) -> str | None:
    return None if given is None else checked_secret(given, param="secret")


def _with_secret(endpoint: Endpoint) -> dict[str, Any]:
    return {**endpoint_object(endpoint), "secret": endpoint.secret}
