"""How deep the queue was over the last hour, as this front door saw it.

One look every quarter of a minute, a few counters of Redis; a curve that begins with
the process is enough to see where things go.
"""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import AsyncIterator
from typing import NamedTuple

from aiohttp import web
from redis.exceptions import RedisError

from service.api.context import FRONT
from service.job_store.listening import end
from service.job_store.standing import Depth, read_depth

_EVERY_S = 15.0
_ANSWER_S = 3.0
_KEPT = 240


class Look(NamedTuple):
    """The queue at one moment, in seconds since 1970."""

    at_s: float
    depth: Depth


DEPTHS: web.AppKey[deque[Look]] = web.AppKey("depths", deque[Look])


async def depths(app: web.Application) -> AsyncIterator[None]:
    """Look while the front door runs."""
    watching = asyncio.create_task(_watch(app))
    try:
        yield
    finally:
        await end([watching])


def new_depths() -> deque[Look]:
    """Return a memory of one hour."""
    return deque(maxlen=_KEPT)


async def _watch(app: web.Application) -> None:
    seen, redis = app[DEPTHS], app[FRONT].backends.redis
    while True:
        with contextlib.suppress(RedisError, OSError, TimeoutError):
            async with asyncio.timeout(_ANSWER_S):
                seen.append(Look(time.time(), await read_depth(redis)))
        await asyncio.sleep(_EVERY_S)
