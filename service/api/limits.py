"""How much a key may ask for, and the headers that tell it what is left.

Each limit is told twice: as the IETF draft on rate limit headers words it, all
limits of the key in one line, and under the names of OpenAI, whose tokens are our
quota units. The three plain `RateLimit-` headers of older drafts know the rate only.
"""

import contextlib
import math
from datetime import UTC, datetime, timedelta

from aiohttp import web

from service.accounts import Allowance, ApiKey, Balance, RateExceeded
from service.api.context import FRONT, TRACE
from service.core.errors import QueueUnavailable, TooMuch
from service.core.periods import begin_of, end_of

_MINUTE_S = 60


async def count(request: web.Request, key: ApiKey) -> None:
    """Count a submission of the key; one without a rate costs nothing.

    Raises:
        RateExceeded: It was one too many.
    """
    if key.requests_per_minute is None:
        return
    try:
        allowance = await request.app[FRONT].backends.accounts.take(key)
    except RateExceeded as exc:
        _tell_rate(request, exc.allowance)
        raise
    if allowance is not None:
        _tell_rate(request, allowance)


async def tell_quota(
    request: web.Request, key: ApiKey, balance: Balance | None = None
) -> None:
    """Say what is left of the key's quota now; without Redis, do not.

    A submission that has been accepted is not refused for want of a header.

    Args:
        request: Whose answer tells it.
        key: Who calls.
        balance: Where it was read just now.
    """
    if key.quota_units is None:
        return
    with contextlib.suppress(QueueUnavailable):
        if balance is None:
            balance = await request.app[FRONT].backends.accounts.balance(key)
        _tell_balance(request, balance)


def patience(request: web.Request, error: TooMuch) -> timedelta:
    """Return after how long what `error` refused may pass.

    A full queue has room as soon as one job of the key ends. Whose turn it is nobody
    knows, but how long it takes until any job here ends.
    """
    eta_s = request.app[FRONT].waiters.pace.eta_s(1)
    if error.code != "queue_full" or eta_s is None:
        return error.retry_after
    return timedelta(seconds=eta_s)


def _tell_rate(request: web.Request, allowance: Allowance) -> None:
    limit, left = allowance.limit, allowance.remaining
    reset_s = allowance.reset.total_seconds()
    headers = request[TRACE].headers
    headers["RateLimit-Limit"] = str(limit)
    headers["RateLimit-Remaining"] = str(left)
    headers["RateLimit-Reset"] = str(math.ceil(reset_s))
    _add(headers, "RateLimit-Policy", f'"requests";q={limit};w={_MINUTE_S}')
    _add(headers, "RateLimit", f'"requests";r={left};t={math.ceil(reset_s)}')
    headers["x-ratelimit-limit-requests"] = str(limit)
    headers["x-ratelimit-remaining-requests"] = str(left)
    headers["x-ratelimit-reset-requests"] = f"{reset_s:.3f}s"


def _tell_balance(request: web.Request, balance: Balance) -> None:
    now = datetime.now(UTC)
    end = end_of(now)
    window_s = int((end - begin_of(now)).total_seconds())
    reset_s = math.ceil((end - now).total_seconds())
    headers = request[TRACE].headers
    _add(headers, "RateLimit-Policy", f'"quota";q={balance.limit};w={window_s}')
    _add(headers, "RateLimit", f'"quota";r={balance.left};t={reset_s}')
    headers["x-ratelimit-limit-tokens"] = str(balance.limit)
    headers["x-ratelimit-remaining-tokens"] = str(balance.left)
    headers["x-ratelimit-reset-tokens"] = f"{reset_s}s"


def _add(headers: dict[str, str], name: str, item: str) -> None:
    """Add an item to a header that lists several."""
    headers[name] = f"{headers[name]}, {item}" if name in headers else item
