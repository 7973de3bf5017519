"""Keys and usage: who may call, what was made and spent, and what is left."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, NamedTuple

import structlog
from aiohttp import web

from service.accounts import ApiKey, DayUsage, Scope
from service.api.context import FRONT, TRACE
from service.api.dashboard.forms import read_form_pairs
from service.api.dashboard.frame import Pages, go
from service.api.dashboard.rendering import page
from service.api.keys import KeyDraft, grant_of
from service.api.problems import problem_of
from service.core.errors import NotFound, ServiceError
from service.intake.fields import read_fields

log = structlog.get_logger()

pages = Pages()

_DAYS = 30
_MOST_ACCOUNTS = 50
_MICROS = 1_000_000
_NUMBERS = ("requests_per_minute", "queued_jobs", "running_jobs", "quota_units")


class KeyRow(NamedTuple):
    """One key of the table.

    Attributes:
        used_on: The last day of its jobs, of the last thirty; None: there is none.
        images: Delivered on these days.
        usd: What they cost.
        is_over: Whether it is refused by now.
        is_own: Whether whoever looks has signed in with it.
    """

    key: ApiKey
    used_on: date | None
    images: int
    usd: float
    is_over: bool
    is_own: bool


@pages.get("/ui/keys")
async def show_keys(request: web.Request, key: ApiKey) -> web.StreamResponse:
    """Show keys (to operators all, to others their own) and what was used."""
    front, is_admin = request.app[FRONT], Scope.ADMIN in key.scopes
    today = datetime.now(UTC).date()
    days = [today - timedelta(days=ago) for ago in range(_DAYS - 1, -1, -1)]
    accounts = front.backends.accounts
    keys = await accounts.list() if is_admin else [key]
    owners = list(dict.fromkeys([key.account, *(one.account for one in keys)]))
    used = {
        account: await accounts.usage(account, days[0], days[-1])
        for account in owners[:_MOST_ACCOUNTS]
    }
    account = request.query.get("account", key.account)
    if account not in used:
        account = key.account
    rows = used[account]
    return page(
        request,
        "keys.html",
        key=key,
        keys=[_row(one, used.get(one.account, ()), key) for one in reversed(keys)],
        owners=owners[:_MOST_ACCOUNTS],
        account=account,
        balance=await accounts.balance(key),
        times=[_noon_of(day) for day in days],
        images=_by_day(days, rows, "images"),
        failed=_by_day(days, rows, "failed"),
        usd=[_usd(row for row in rows if row.day == day) for day in days],
        total={
            name: sum(getattr(row, name) for row in rows)
            for name in ("jobs", "images", "failed", "units")
        },
        spent=_usd(rows),
        popular=await front.backends.jobs.popular() if is_admin else [],
    )


@pages.get("/ui/keys/new", scope=Scope.ADMIN)
async def show_form(request: web.Request, key: ApiKey) -> web.StreamResponse:
    """Show the form of a new key."""
    return _form(request, key)


@pages.post("/ui/keys", scope=Scope.ADMIN)
async def make_key(request: web.Request, key: ApiKey) -> web.StreamResponse:
    """Make a key; its secret is shown on the answer, this once."""
    front, pairs = request.app[FRONT], await read_form_pairs(request)
    fields = {name: value.strip() for name, value in pairs if value.strip()}
    scopes = [value for name, value in pairs if name == "scopes"]
    try:
        draft = read_fields(KeyDraft, _draft_of(fields, scopes))
        made, secret = await front.backends.accounts.create(
            grant_of(draft, front.catalog)
        )
    except ServiceError as exc:
        problem = problem_of(exc)
        if problem is None:
            raise
        request[TRACE].code = exc.code
        return _form(
            request,
            key,
            wish={**fields, "scopes": scopes},
            wrong=problem,
            status=problem.status,
        )
    log.info("key.created", key_id=made.id, account=made.account, by=key.id)
    return page(request, "key_made.html", key=key, made=made, secret=secret)


@pages.post("/ui/keys/{key_id}/revoke", scope=Scope.ADMIN)
async def revoke_key(request: web.Request, key: ApiKey) -> web.StreamResponse:
    """Refuse a key from now on; who revokes his own is signed out."""
    accounts = request.app[FRONT].backends.accounts
    revoked = await accounts.revoke(request.match_info["key_id"])
    if revoked is None:
        raise NotFound("no such key")
    log.info("key.revoked", key_id=revoked.id, account=revoked.account, by=key.id)
    return go(request, "/ui/keys")


def _row(one: ApiKey, rows: Sequence[DayUsage], own: ApiKey) -> KeyRow:
    mine = [row for row in rows if row.key_id == one.id]
    has_expired = one.expires_at is not None and one.expires_at <= datetime.now(UTC)
    return KeyRow(
        key=one,
        used_on=max((row.day for row in mine), default=None),
        images=sum(row.images for row in mine),
        usd=_usd(mine),
        is_over=one.revoked_at is not None or has_expired,
        is_own=one.id == own.id,
    )


def _usd(rows: Any) -> float:
    return sum(sum(row.cost_micros.values()) for row in rows) / _MICROS


def _by_day(days: Sequence[date], rows: Sequence[DayUsage], name: str) -> list[int]:
    sums = Counter[date]()
    for row in rows:
        sums[row.day] += getattr(row, name)
    return [sums[day] for day in days]


def _noon_of(day: date) -> float:
    return datetime(day.year, day.month, day.day, 12, tzinfo=UTC).timestamp()


def _draft_of(fields: dict[str, str], scopes: list[str]) -> dict[str, Any]:
    """Return the form's fields as `POST /v1/keys` has them."""
    draft: dict[str, Any] = {"account": fields.get("account", ""), "scopes": scopes}
    for name in (*_NUMBERS, "weight"):
        if (text := fields.get(name)) is not None:
            draft[name] = int(text) if text.isascii() and text.isdigit() else text
    if "models" in fields:
        draft["models"] = [word.strip() for word in fields["models"].split(",")]
    if "on_ambiguous" in fields:
        draft["on_ambiguous"] = fields["on_ambiguous"]
    if "days" in fields and fields["days"].isdigit():
        ends = datetime.now(UTC) + timedelta(days=min(int(fields["days"]), 36_500))
        draft["expires_at"] = int(ends.timestamp())
    return draft


def _form(
    request: web.Request,
    key: ApiKey,
    *,
    wish: dict[str, Any] | None = None,
    wrong: object = None,
    status: int = 200,
) -> web.Response:
    known = {"account": key.account, "scopes": ["generate"], "on_ambiguous": "retry"}
    empty = dict.fromkeys((*_NUMBERS, "weight", "models", "days"), "")
    return page(
        request,
        "key_new.html",
        key=key,
        wish={**empty, **known, **(wish or {})},
        wrong=wrong,
        status=status,
    )
