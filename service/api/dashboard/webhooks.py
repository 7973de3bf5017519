"""Webhooks: where events go, what became of sending them, and what was answered."""

from collections import Counter
from datetime import timedelta
from typing import NamedTuple

from aiohttp import web

from service.accounts import ApiKey, Scope
from service.api.context import FRONT, TRACE, Front
from service.api.dashboard.forms import read_form_fields, read_form_pairs
from service.api.dashboard.frame import Pages, go
from service.api.dashboard.rendering import page
from service.api.problems import problem_of
from service.core.errors import NotFound, ServiceError
from service.core.webhooks import new_secret
from service.intake.fields import read_fields
from service.webhooks.deliveries import STATES, Delivery
from service.webhooks.endpoints import Endpoint
from service.webhooks.wishes import (
    EVENT_TYPES,
    EndpointChange,
    EndpointDraft,
    fields_of,
)

pages = Pages(scope=Scope.GENERATE)

_PER_PAGE = 30
_COUNTED = 500
_OVERLAP = timedelta(days=1)
_ENDPOINT = "/ui/webhooks/endpoints/{endpoint_id}"
_DELIVERY = "/ui/webhooks/deliveries/{delivery_id}"


class Record(NamedTuple):
    """How an endpoint fared with the latest deliveries.

    Attributes:
        delivered: How many arrived.
        failed: How many never will.
        last_failure: The latest of those; None: there is none.
    """

    delivered: int
    failed: int
    last_failure: Delivery | None

    @property
    def share(self) -> float | None:
        """How many of a hundred arrived; None: nothing has ended."""
        ended = self.delivered + self.failed
        return 100 * self.delivered / ended if ended else None


@pages.get("/ui/webhooks")
async def show_webhooks(request: web.Request, key: ApiKey) -> web.StreamResponse:
    """Show the account's endpoints, and its deliveries, newest first."""
    front, query = request.app[FRONT], request.query
    endpoints = await front.endpoints.list(key.account)
    status, endpoint = query.get("status", ""), query.get("endpoint", "")
    after = query.get("after")
    try:
        found = await front.deliveries.page(
            key.account,
            limit=_PER_PAGE,
            after=after,
            matches=lambda one: (
                (status not in STATES or one.state == status)
                and (not endpoint or one.endpoint == endpoint)
            ),
        )
    except NotFound:
        return go(request, "/ui/webhooks")
    kept = "".join(f"&{name}={query[name]}" for name in ("status",) if status in STATES)
    last = found.deliveries[-1].id if found.more else ""
    return page(
        request,
        "webhooks.html",
        key=key,
        part="live",
        endpoints=endpoints,
        records=await _records(front, key.account),
        by_id={one.id: one for one in endpoints},
        deliveries=found.deliveries,
        older=f"/ui/webhooks?after={last}{kept}" if found.more else None,
        states=STATES,
        chosen=status if status in STATES else "",
        is_first=after is None,
    )


@pages.get("/ui/webhooks/new")
async def show_form(request: web.Request, key: ApiKey) -> web.StreamResponse:
    """Show the form of a new endpoint."""
    return _form(request, key)


@pages.post("/ui/webhooks")
async def make_endpoint(request: web.Request, key: ApiKey) -> web.StreamResponse:
    """Make an endpoint; its secret is shown on the answer, this once."""
    front, pairs = request.app[FRONT], await read_form_pairs(request)
    fields = dict(pairs)
    events = [value for name, value in pairs if name == "events"]
    wish = {"url": fields.get("url", ""), "description": fields.get("description", "")}
    try:
        draft = read_fields(EndpointDraft, {**wish, "events": events or ["*"]})
        made, _ = await front.endpoints.create(
            key.account,
            url=front.urls.checked(draft.url, param="url"),
            events=draft.events or ("*",),
            description=draft.description,
            secret=None,
        )
    except ServiceError as exc:
        problem = problem_of(exc)
        if problem is None:
            raise
        request[TRACE].code = exc.code
        return _form(
            request,
            key,
            status=problem.status,
            wrong=problem,
            wish={**wish, "events": events},
        )
    return _secret(request, key, made, is_new=True)


@pages.get(_ENDPOINT)
async def show_endpoint(request: web.Request, key: ApiKey) -> web.StreamResponse:
    """Show one endpoint, and what can be done with it."""
    front, endpoint = request.app[FRONT], await _found(request, key)
    found = await front.deliveries.page(
        key.account, limit=_PER_PAGE, matches=lambda one: one.endpoint == endpoint.id
    )
    return page(
        request,
        "endpoint.html",
        key=key,
        part="endpoint",
        endpoint=endpoint,
        record=(await _records(front, key.account)).get(endpoint.id),
        deliveries=found.deliveries,
        by_id={endpoint.id: endpoint},
    )


@pages.post(f"{_ENDPOINT}/test")
async def try_endpoint(request: web.Request, key: ApiKey) -> web.StreamResponse:
    """Send it an event that means nothing, and show what becomes of that."""
    endpoint_id = request.match_info["endpoint_id"]
    made = await request.app[FRONT].endpoints.test(endpoint_id, account=key.account)
    return go(request, f"/ui/webhooks/deliveries/{made}")


@pages.post(f"{_ENDPOINT}/rotate")
async def rotate_secret(request: web.Request, key: ApiKey) -> web.StreamResponse:
    """Give it another secret; the old one signs as well for a day."""
    endpoint = await request.app[FRONT].endpoints.change(
        request.match_info["endpoint_id"],
        account=key.account,
        fields={"secret": new_secret()},
        overlap=_OVERLAP,
    )
    return _secret(request, key, endpoint, is_new=False)


@pages.post(f"{_ENDPOINT}/switch")
async def switch_endpoint(request: web.Request, key: ApiKey) -> web.StreamResponse:
    """Enable or disable it."""
    front, fields = request.app[FRONT], await read_form_fields(request)
    change = read_fields(EndpointChange, {"status": fields.get("status")})
    endpoint_id = request.match_info["endpoint_id"]
    await front.endpoints.change(
        endpoint_id, account=key.account, fields=fields_of(change, front.urls)
    )
    return go(request, f"/ui/webhooks/endpoints/{endpoint_id}")


@pages.post(f"{_ENDPOINT}/delete")
async def delete_endpoint(request: web.Request, key: ApiKey) -> web.StreamResponse:
    """Remove it."""
    endpoint_id = request.match_info["endpoint_id"]
    await request.app[FRONT].endpoints.delete(endpoint_id, account=key.account)
    return go(request, "/ui/webhooks")


@pages.get(_DELIVERY)
async def show_delivery(request: web.Request, key: ApiKey) -> web.StreamResponse:
    """Show one delivery: each attempt, its status, and how the answer begins."""
    front = request.app[FRONT]
    delivery = await front.deliveries.get(
        request.match_info["delivery_id"], account=key.account
    )
    endpoint = None
    if delivery.endpoint is not None:
        endpoints = await front.endpoints.list(key.account)
        endpoint = next((e for e in endpoints if e.id == delivery.endpoint), None)
    return page(
        request,
        "delivery.html",
        key=key,
        part="delivery",
        delivery=delivery,
        endpoint=endpoint,
        url=delivery.url or (endpoint.url if endpoint else None),
    )


@pages.post(f"{_DELIVERY}/redeliver")
async def redeliver(request: web.Request, key: ApiKey) -> web.StreamResponse:
    """Send it once more."""
    delivery_id = request.match_info["delivery_id"]
    await request.app[FRONT].deliveries.redeliver(delivery_id, account=key.account)
    return go(request, f"/ui/webhooks/deliveries/{delivery_id}")


async def _found(request: web.Request, key: ApiKey) -> Endpoint:
    return await request.app[FRONT].endpoints.get(
        request.match_info["endpoint_id"], account=key.account
    )


async def _records(front: Front, account: str) -> dict[str, Record]:
    """Return how endpoints fared with the latest five hundred deliveries."""
    found = await front.deliveries.page(account, limit=_COUNTED)
    ends = Counter[tuple[str, str]]()
    failures: dict[str, Delivery] = {}
    for one in found.deliveries:
        if one.endpoint is not None:
            ends[one.endpoint, one.state] += 1
            if one.state == "failed":
                failures.setdefault(one.endpoint, one)
    return {
        endpoint: Record(
            ends[endpoint, "delivered"],
            ends[endpoint, "failed"],
            failures.get(endpoint),
        )
        for endpoint in {name for name, _ in ends}
    }


def _form(
    request: web.Request,
    key: ApiKey,
    *,
    status: int = 200,
    wrong: object = None,
    wish: object = None,
) -> web.Response:
    empty = {"url": "", "description": "", "events": ["*"]}
    return page(
        request,
        "webhook_new.html",
        key=key,
        status=status,
        types=[name for name in EVENT_TYPES if name != "*"],
        wrong=wrong,
        wish=wish or empty,
    )


def _secret(
    request: web.Request, key: ApiKey, endpoint: Endpoint, *, is_new: bool
) -> web.Response:
    return page(
        request, "webhook_secret.html", key=key, endpoint=endpoint, is_new=is_new
    )
