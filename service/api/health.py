"""`/healthz` (`/health` at ImageRouter), `/readyz` and `/metrics`.

`/readyz` is red only when Redis takes no writes or the process drains: a long batch
or a store that is down must not take every front door out of the balancer. What
else is wrong stands in its body.
"""

import asyncio
import contextlib
from http import HTTPStatus
from ipaddress import ip_address

from aiohttp import web
from redis.exceptions import RedisError

from service.api.answers import answer
from service.api.auth import authorized
from service.api.context import FRONT, Front
from service.api.gate_figures import counted_routes, gate_figures
from service.api.queue_figures import (
    delivery_figures,
    pulse_figures,
    standing_figures,
    tally_figures,
)
from service.core.errors import QueueUnavailable
from service.job_store.standing import read_standing
from service.job_store.tally import read_tally

routes = web.RouteTableDef()

_PROXIED = ("X-Forwarded-For", "Forwarded", "Via")
_ANSWER_S = 3.0
_NO_STORE = {"Cache-Control": "no-store"}


@routes.get("/healthz")
@routes.get("/health")
async def get_health(_: web.Request) -> web.Response:
    """Answer as long as the process does."""
    return answer({"status": "ok"}, headers=_NO_STORE)


@routes.get("/readyz")
async def get_readiness(request: web.Request) -> web.Response:
    """Say whether new requests should come here, and what else is the matter."""
    pulse = request.app[FRONT].pulse
    status = HTTPStatus.OK if pulse.is_ready else HTTPStatus.SERVICE_UNAVAILABLE
    return answer(pulse.report(), status=status, headers=_NO_STORE)


@routes.get("/metrics")
async def get_metrics(request: web.Request) -> web.Response:
    """Show the counters to this machine, or to whoever has a key."""
    if not is_local(request):
        await authorized(request)
    front = request.app[FRONT]
    if front.pulse.takes_writes:  # without Redis the page tells the rest all the same
        with contextlib.suppress(QueueUnavailable, RedisError, OSError, TimeoutError):
            async with asyncio.timeout(_ANSWER_S):
                await _look(front)
    front.metrics.here(tuple(pulse_figures(front.pulse.report())))
    body, content_type = front.metrics.page()
    return web.Response(body=body, headers={"Content-Type": content_type, **_NO_STORE})


async def _look(front: Front) -> None:
    deliveries = await front.deliveries.figures()
    gates = await front.backends.jobs.gates(counted_routes(front.catalog))
    standing = await read_standing(front.backends.redis)
    tally = await read_tally(front.backends.redis)
    front.metrics.beside(
        (
            *gate_figures(gates),
            *standing_figures(standing),
            *tally_figures(tally),
            *delivery_figures(*deliveries),
        )
    )


def is_local(request: web.Request) -> bool:
    """Whether the caller sits on this machine, with no proxy in between."""
    if any(name in request.headers for name in _PROXIED):
        return False
    try:
        return ip_address(request.remote or "").is_loopback
    except ValueError:
        return False
