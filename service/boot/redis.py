"""Whether a Redis keeps what it is given: told by INFO, which every user may ask.

CONFIG may be forbidden, and then what only it tells stays uncertain.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import AuthenticationError, RedisError, ResponseError

from service.boot.flaws import Flaw
from service.job_store.gather import is_away
from service.job_store.pool import redis_pool
from service.job_store.times import redis_now_ms
from service.settings import Settings

_MOST_SKEW_S = 2.0
_ANSWER_S = 2.5
_OLDEST = {"redis": (7,), "valkey": (7, 2)}
_SYNC = "appendfsync"

_flaw = partial(Flaw, subject="redis")


async def look_at_redis(settings: Settings) -> Sequence[Flaw] | None:
    """Return what is wrong with the Redis that the settings name; None: it is away."""
    pool = redis_pool(settings.redis_url, timeout_s=_ANSWER_S)
    async with Redis.from_pool(pool) as redis:
        try:
            return await flaws_of(redis, settings)
        except (RedisError, OSError) as exc:
            # While it connects, redis-py tells of a refusal as of a lost connection.
            if AuthenticationError in {type(exc), type(exc.__cause__)}:
                remedy = "check user and password in DARKROOM_REDIS_URL"
                return [_flaw(text="does not let us in", remedy=remedy)]
            if is_away(exc):
                return None
            remedy = "check DARKROOM_REDIS_URL, and what its user is allowed"
            return [_flaw(text=f"refuses us ({exc})", remedy=remedy)]


async def flaws_of(redis: Redis, settings: Settings) -> list[Flaw]:
    """Return what is wrong with a Redis that is there.

    Raises:
        RedisError: It is away, or does not allow INFO and TIME.
    """
    info = await redis.info()
    flaws = [*_of_server(info), *_of_clock(await _skew_s(redis))]
    if settings.durability == "replicated":
        flaws += _of_replicas(info)
    if settings.durability == "strict":
        flaws += await _of_syncs(redis)
    return flaws


def name_of(info: Mapping[str, Any]) -> str:
    """Return what it calls itself, such as `Valkey 9.1.2`."""
    kind = _kind(info)
    return f"{kind.capitalize()} {info[f'{kind}_version']}"


def _kind(info: Mapping[str, Any]) -> str:
    return "valkey" if "valkey_version" in info else "redis"


def _of_server(info: Mapping[str, Any]) -> Iterator[Flaw]:
    version = str(info[f"{_kind(info)}_version"])
    numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
    if numbers < _OLDEST[_kind(info)]:
        remedy = "use Redis 7, Valkey 7.2 or newer"
        yield _flaw(text=f"{name_of(info)} is too old", remedy=remedy)
    if info.get("role") != "master":
        remedy = "point DARKROOM_REDIS_URL at the primary"
        yield _flaw(text="is a replica: no writes", remedy=remedy)
    policy = info.get("maxmemory_policy")
    if policy != "noeviction":
        text = f"evicts under memory pressure ({policy}): jobs would be lost"
        yield _flaw(text=text, remedy="set maxmemory-policy noeviction")
    if not info.get("aof_enabled"):
        text = "keeps no append-only file: a crash loses jobs"
        yield _flaw(text=text, remedy="set appendonly yes")
    elif info.get("aof_last_write_status") != "ok":
        text = "cannot write its append-only file"
        yield _flaw(text=text, remedy="make room on its disk", breaks=False)


async def _skew_s(redis: Redis) -> float:
    """Return how far Redis's clock is ahead for sure; what the way took is doubt."""
    await redis.ping()  # so that connecting is none of it
    sent = time.time()
    theirs = await redis_now_ms(redis) / 1000
    got = time.time()
    return max(theirs - got, 0.0) + min(theirs - sent, 0.0)


def _of_clock(skew_s: float) -> Iterator[Flaw]:
    if abs(skew_s) > _MOST_SKEW_S:
        side = "ahead of" if skew_s > 0 else "behind"
        text = f"its clock is {abs(skew_s):.1f} s {side} this machine's"
        yield _flaw(text=text, remedy="synchronize both clocks (NTP)")


def _of_replicas(info: Mapping[str, Any]) -> Iterator[Flaw]:
    if not info.get("connected_slaves"):
        remedy = "connect a replica, or set DARKROOM_DURABILITY to default or strict"
        yield _flaw(text="has no replica", remedy=remedy)
    # It stands in INFO only where both settings are there.
    elif "min_slaves_good_slaves" not in info:
        text = "takes writes that no replica has"
        remedy = "set min-replicas-to-write 1 and min-replicas-max-lag 5"
        yield _flaw(text=text, remedy=remedy)


async def _of_syncs(redis: Redis) -> list[Flaw]:
    try:
        policy = (await redis.config_get(_SYNC)).get(_SYNC)
    except ResponseError:  # forbidden, or taken out
        text = "nobody may see here whether it syncs before it answers"
        remedy = "allow +config|get, or make sure of appendfsync always yourself"
        return [_flaw(text=text, remedy=remedy, breaks=False)]
    if policy == "always":
        return []
    text = f"answers before it has synced (appendfsync {policy})"
    remedy = "set appendfsync always, or DARKROOM_DURABILITY to default"
    return [_flaw(text=text, remedy=remedy)]
