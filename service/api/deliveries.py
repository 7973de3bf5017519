"""`/v1/deliveries`: what was sent, what is on its way, and what was given up."""

from collections.abc import Callable
from http import HTTPStatus

from aiohttp import web

from service.api.answers import answer
from service.api.auth import authorized
from service.api.context import FRONT
from service.api.listing import bad_cursor, one_of, page_of, read_limit
from service.api.wishes import refuse_unknown
from service.core.errors import NotFound
from service.webhooks.deliveries import STATES, Delivery
from service.webhooks.shown import delivery_object, log_lines

routes = web.RouteTableDef()


@routes.get("/v1/deliveries")
async def list_deliveries(request: web.Request) -> web.Response:
    """Answer with a page of the account's deliveries, newest first."""
    key = await authorized(request)
    refuse_unknown(request, "endpoint", "status", "job", "type", "after", "limit")
    try:
        page = await request.app[FRONT].deliveries.page(
            key.account,
            limit=read_limit(request.query.get("limit")),
            after=request.query.get("after"),
            matches=_filter(request),
        )
    except NotFound as exc:
        raise bad_cursor("delivery") from exc
    shown = (delivery_object(delivery) for delivery in page.deliveries)
    return answer(page_of(shown, more=page.more))


@routes.get("/v1/deliveries/{delivery_id}")
async def get_delivery(request: web.Request) -> web.Response:
    """Answer with the delivery and its log."""
    key = await authorized(request)
    delivery = await request.app[FRONT].deliveries.get(
        request.match_info["delivery_id"], account=key.account
    )
    return answer({**delivery_object(delivery), "log": log_lines(delivery)})


@routes.post("/v1/deliveries/{delivery_id}/redeliver")
async def redeliver(request: web.Request) -> web.Response:
    """Send the event once more, whatever became of it so far."""
    key = await authorized(request)
    delivery = await request.app[FRONT].deliveries.redeliver(
        request.match_info["delivery_id"], account=key.account
    )
    return answer(delivery_object(delivery), status=HTTPStatus.ACCEPTED)


def _filter(request: web.Request) -> Callable[[Delivery], bool]:
    query = request.query
    wanted = {
        "endpoint": query.get("endpoint"),
        "state": one_of(query, "status", STATES),
        "subject": query.get("job"),
        "type": query.get("type"),
    }
    named = {name: value for name, value in wanted.items() if value is not None}
    return lambda delivery: all(
        getattr(delivery, name) == value for name, value in named.items()
    )
