"""`GET /v1/usage`: what an account's keys made, used up and cost, by day and key.

It is the ledger that quotas are kept by, so the two agree to the unit; whatever the
operator says of billing elsewhere, an account may see its own.
"""

import re
from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, date, datetime
from typing import Any

from aiohttp import web

from service.accounts import ApiKey, DayUsage, Scope
from service.api.answers import answer
from service.api.auth import authenticated
from service.api.context import FRONT
from service.api.wishes import refuse_unknown
from service.core.errors import Forbidden, InvalidRequest

routes = web.RouteTableDef()

_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_COUNTS = ("jobs", "succeeded", "failed", "canceled", "expired", "images")
_SOURCES = ("reported", "priced", "estimated")
_MICROS = 1_000_000

_Group = tuple[date | None, str | None]
"""What the rows of one group share: day and key; None where they may differ."""


@routes.get("/v1/usage")
async def get_usage(request: web.Request) -> web.Response:
    """Sum up the account's days, this month's if none are named."""
    key = await _reader(request)
    refuse_unknown(request, "from", "to", "group_by", "account")
    account = _account(request, key)
    today = datetime.now(UTC).date()
    first = _day(request, "from") or today.replace(day=1)
    last = _day(request, "to") or max(first, today)
    if last < first:
        raise InvalidRequest(
            "to must not lie before from", code="out_of_range", param="to"
        )
    group_by = _group_by(request)
    rows = await request.app[FRONT].backends.accounts.usage(account, first, last)
    body = {
        "object": "usage",
        "account": account,
        "from": first.isoformat(),
        "to": last.isoformat(),
        "group_by": group_by,
        "data": _grouped(rows, group_by),
        "total": _sum((None, None), rows),
    }
    return answer(body, headers={"Cache-Control": "no-store"})


async def _reader(request: web.Request) -> ApiKey:
    """Return the key; one that stands in pages for all to see reads no books."""
    key = await authenticated(request)
    if not key.scopes & {Scope.GENERATE, Scope.ADMIN}:
        raise Forbidden("this key may not see what its account used")
    return key


def _account(request: web.Request, key: ApiKey) -> str:
    account = request.query.get("account", key.account)
    if account != key.account and Scope.ADMIN not in key.scopes:
        raise Forbidden("this key may see its own account only", param="account")
    return account


def _day(request: web.Request, name: str) -> date | None:
    given = request.query.get(name)
    if given is None:
        return None
    try:
        return date.fromisoformat(given if _DAY.fullmatch(given) else "")
    except ValueError:
        raise InvalidRequest(
            f"{name} must be a day such as 2026-11-30",
            code="out_of_range",
            param=name,
        ) from None


def _group_by(request: web.Request) -> str | None:
    given = request.query.get("group_by")
    if given not in {None, "day", "key"}:
        raise InvalidRequest(
            "group_by must be day or key", code="invalid_enum", param="group_by"
        )
    return given


def _grouped(rows: Iterable[DayUsage], group_by: str | None) -> list[dict[str, Any]]:
    """Return a sum per day and key, or per one of them."""
    groups: dict[_Group, list[DayUsage]] = defaultdict(list)
    for row in rows:
        day = None if group_by == "key" else row.day
        key_id = None if group_by == "day" else row.key_id
        groups[day, key_id].append(row)
    return [_sum(group, rows) for group, rows in groups.items()]


def _sum(group: _Group, rows: Iterable[DayUsage]) -> dict[str, Any]:
    day, key_id = group
    rows = list(rows)
    micros = {
        source: sum(row.cost_micros.get(source, 0) for row in rows)
        for source in _SOURCES
    }
    return {
        "date": None if day is None else day.isoformat(),
        "key_id": key_id,
        **{name: sum(getattr(row, name) for row in rows) for name in _COUNTS},
        "quota_units": sum(row.units for row in rows),
        "cost": {
            "usd": sum(micros.values()) / _MICROS,
            **{source: amount / _MICROS for source, amount in micros.items()},
        },
    }
