"""ImageRouter's small routes: what is left to spend, and what others draw with.

Its credits are dollars of an account; ours are the quota units of the key that
asks, this month. A key without a quota has infinitely many, in a word that clients
read as a number.
"""

from aiohttp import web

from service.accounts import ApiKey, Balance
from service.api.answers import answer
from service.api.auth import authorized, authorized_unless_open
from service.api.context import FRONT, Front
from service.api.wishes import refuse_unknown
from service.core.errors import UnknownModel
from service.intake.permits import allows

routes = web.RouteTableDef()

_MOST_POPULAR = 10
_DAYS = 7
_ENDLESS = "Infinity"


@routes.get("/v1/credits")
async def get_credits(request: web.Request) -> web.Response:
    """Show what the key has used of its quota this month, and what is left."""
    key = await authorized(request)
    refuse_unknown(request)
    balance = await request.app[FRONT].backends.accounts.balance(key)
    return answer(
        {
            "remaining_credits": _as_text(_left(balance)),
            "credit_usage": str(balance.used),
            "total_deposits": _as_text(balance.limit),
            "reserved_credits": str(balance.reserved),
            "unit": "quota_units",
            "period": balance.period,
        }
    )


@routes.get("/v1/auth/test")
@routes.post("/v1/auth/test")
async def test_key(request: web.Request) -> web.Response:
    """Say that the key is good, and for what."""
    key = await authorized(request)
    refuse_unknown(request)
    balance = await request.app[FRONT].backends.accounts.balance(key)
    return answer(
        {
            "success": True,
            "credits": _left(balance),
            "account": key.account,
            "key_id": key.id,
            "scopes": sorted(key.scopes),
        }
    )


@routes.post("/operations/get-popular-models")
async def list_popular(request: web.Request) -> web.Response:
    """List the ten models that drew most in the last week, as counted here."""
    key = await authorized_unless_open(request)
    refuse_unknown(request)
    front = request.app[FRONT]
    counted = await front.backends.jobs.popular(days=_DAYS, limit=10 * _MOST_POPULAR)
    seen = [name for name in counted if _is_shown(front, name, key)]
    return answer(seen[:_MOST_POPULAR])


def _left(balance: Balance) -> int | None:
    if balance.limit is None:
        return None
    return max(0, balance.limit - balance.used - balance.reserved)


def _as_text(units: int | None) -> str:
    return _ENDLESS if units is None else str(units)


def _is_shown(front: Front, name: str, key: ApiKey | None) -> bool:
    """Whether there still is such a model, and the key may ask for it."""
    try:
        model = front.catalog.model(name)
    except UnknownModel:
        return False
    return key is None or allows(key, model, front.catalog)
