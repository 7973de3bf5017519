"""Listings newest first: sorted sets of ids, read behind one of them."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, NamedTuple, TypeVar

from redis.asyncio import Redis

from service.job_store.answers import within

_T = TypeVar("_T")

_SCAN_LIMIT = 10_000
_STEP = 200


class Listed(NamedTuple, Generic[_T]):
    """Some of a listing; `more` when older ones follow."""

    found: tuple[_T, ...]
    more: bool


async def newest(
    redis: Redis,
    listing: str,
    read: Callable[[Sequence[str]], Awaitable[Sequence[_T]]],
    *,
    limit: int,
    after: str | None,
    matches: Callable[[_T], bool] = lambda _: True,
) -> Listed[_T] | None:
    """Return up to `limit` that match, newest first; None: it does not list `after`.

    Looks at no more than the newest 10,000 behind `after`.

    Args:
        redis: Holds the listing.
        listing: Its key.
        read: Returns the records that there still are of some ids, in order.
        limit: How many at most.
        after: Begin behind this id; None: with the newest.
        matches: Whether one is wanted.

    Raises:
        QueueUnavailable: Redis is away.
    """
    at = 0
    if after is not None:
        rank = await within(redis.zrevrank(listing, after))
        if rank is None:
            return None
        at = rank + 1
    found, step, end = list[_T](), limit + 1, at + _SCAN_LIMIT
    while at < end:
        ids = await within(redis.zrevrange(listing, at, at + step - 1))
        found += filter(matches, await read([each.decode() for each in ids]))
        if len(found) > limit or len(ids) < step:
            break
        at, step = at + step, _STEP
    return Listed(tuple(found[:limit]), more=len(found) > limit)
