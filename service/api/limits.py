"""How much a key may send, and the headers that tell it what is left."""

import math

from aiohttp import web

from service.accounts import Allowance, ApiKey, RateExceeded
from service.api.context import FRONT, TRACE


async def count(request: web.Request, key: ApiKey) -> None:
    """Count a submission of the key; one without a rate costs nothing.

    Raises:
        RateExceeded: It was one too many.
    """
    if key.requests_per_minute is None:
        return
    headers = request[TRACE].headers
    try:
        allowance = await request.app[FRONT].backends.accounts.take(key)
    except RateExceeded as exc:
        headers.update(_headers(exc.allowance))
        raise
    if allowance is not None:
        headers.update(_headers(allowance))


def _headers(allowance: Allowance) -> dict[str, str]:
    limit, remaining = str(allowance.limit), str(allowance.remaining)
    reset_s = allowance.reset.total_seconds()
    return {
        "RateLimit-Policy": f"{limit};w=60",
        "RateLimit-Limit": limit,
        "RateLimit-Remaining": remaining,
        "RateLimit-Reset": str(math.ceil(reset_s)),
        "x-ratelimit-limit-requests": limit,
        "x-ratelimit-remaining-requests": remaining,
        "x-ratelimit-reset-requests": f"{reset_s:.3f}s",
    }
