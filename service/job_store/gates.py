"""Whom the fleet may call: what workers tell of it, and how it stands just now."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from redis.asyncio import Redis

from service.job_store import keys
from service.job_store.times import clock_ms, ms, redis_now_ms, time_of

_FAILURES = 5
"""As in `gates.lua`: so many in a row open a breaker."""
_LANES = ("routes:", "tasks:", "mixed:")
"""How those of jobs that wait for providers are called; see `waits.lua`."""
_SERVED_FOR = timedelta(minutes=1)
"""As there: a provider that no worker has named for so long is nobody's."""


@dataclass(frozen=True, slots=True)
class Gate:
    """How much of a provider the whole fleet may use; None: no limit.

    Attributes:
        max_in_flight: Calls at once.
        max_images_in_flight: Images that these are for; who wants more has to be alone.
        requests_per_minute: Spread over it, but for a second's worth at once.
    """

    max_in_flight: int | None = None
    requests_per_minute: int | None = None
    max_images_in_flight: int | None = None


async def tell_gates(redis: Redis, gates: Mapping[str, Gate]) -> None:
    """Say whom a worker can call, by name, and how much of it each allows the fleet."""
    if not gates:
        return
    seen_ms = await redis_now_ms(redis)
    async with redis.pipeline(transaction=False) as pipe:
        for name, gate in gates.items():
            limits = {
                "most": gate.max_in_flight,
                "most_images": gate.max_images_in_flight,
                "per_minute": gate.requests_per_minute,
            }
            told = {field: value for field, value in limits.items() if value}
            absent = [field for field, value in limits.items() if not value]
            key = keys.gate(name)
            pipe.hset(key, mapping={**told, "seen_ms": seen_ms})
            if absent:
                pipe.hdel(key, *absent)
        await pipe.execute()


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderGate:
    """One provider.

    Attributes:
        running: Calls under way over the whole fleet.
        waiting: Jobs that wait for a call of it, or of another of their routes.
        max_in_flight: Most of them; None: no limit.
        images: What they are for.
        max_images_in_flight: None: no limit.
        requests_per_minute: None: no limit.
        served_at: When a worker last said that it can call it; None: nobody does.
        closed_until: It takes no calls before; None: it does.
    """

    running: int
    waiting: int
    max_in_flight: int | None
    images: int
    max_images_in_flight: int | None
    requests_per_minute: int | None
    served_at: datetime | None
    closed_until: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Breaker:
    """One route.

    Attributes:
        failures: In a row.
        open_until: Nobody calls before; then one tries. None: it is closed.
    """

    failures: int
    open_until: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Gates:
    """All that decides whom the next claim may call.

    Attributes:
        providers: By name.
        routes: By `provider/provider model`.
        waiting: Jobs none of whose routes takes a call.
    """

    providers: dict[str, ProviderGate]
    routes: dict[str, Breaker]
    waiting: int


async def read_gates(redis: Redis, routes: Sequence[str]) -> Gates:
    """Return what is known of these routes and their providers."""
    providers = sorted({_provider(route) for route in routes})
    names = [name.decode() for name in await redis.smembers(keys.WAITS)]  # type: ignore[misc]
    lanes = [name for name in names if name.startswith(_LANES)]
    async with redis.pipeline(transaction=False) as pipe:
        pipe.time()
        for name in providers:
            pipe.hgetall(keys.gate(name))
        for route in routes:
            pipe.hgetall(keys.route(route))
        for lane in lanes:
            pipe.zcard(keys.wait(lane))
        clock, *found = await pipe.execute()
    gates, found = found[: len(providers)], found[len(providers) :]
    breakers, sizes = found[: len(routes)], found[len(routes) :]
    now_ms, waiting = clock_ms(clock), Counter[str]()
    for lane, size in zip(lanes, sizes, strict=True):
        waited_for = lane.partition(":")[2].split("\n")
        waiting.update(dict.fromkeys({_provider(r) for r in waited_for}, size))
    return Gates(
        providers={
            name: _gate(stored, now_ms, waiting[name])
            for name, stored in zip(providers, gates, strict=True)
        },
        routes={
            route: _breaker(stored)
            for route, stored in zip(routes, breakers, strict=True)
        },
        waiting=sum(sizes),
    )


async def read_served(redis: Redis, providers: Sequence[str]) -> frozenset[str]:
    """Return which of the providers a worker said lately that it can call."""
    async with redis.pipeline(transaction=False) as pipe:
        pipe.time()
        for name in providers:
            pipe.hget(keys.gate(name), "seen_ms")
        clock, *seen = await pipe.execute()
    now_ms = clock_ms(clock)
    return frozenset(
        name
        for name, seen_ms in zip(providers, seen, strict=True)
        if _is_served(int(seen_ms or 0), now_ms)
    )


def _is_served(seen_ms: int, now_ms: int) -> bool:
    return now_ms - seen_ms < ms(_SERVED_FOR)


def _provider(route: str) -> str:
    return route.partition("/")[0]


def _gate(stored: dict[bytes, bytes], now_ms: int, waiting: int) -> ProviderGate:
    told = {name.decode(): int(value) for name, value in stored.items()}
    closed_ms, seen_ms = told.get("closed_ms", 0), told.get("seen_ms", 0)
    return ProviderGate(
        running=told.get("running", 0),
        waiting=waiting,
        max_in_flight=told.get("most"),
        images=told.get("images", 0),
        max_images_in_flight=told.get("most_images"),
        requests_per_minute=told.get("per_minute"),
        served_at=time_of(seen_ms) if _is_served(seen_ms, now_ms) else None,
        closed_until=time_of(closed_ms) if closed_ms > now_ms else None,
    )


def _breaker(stored: dict[bytes, bytes]) -> Breaker:
    failures = int(stored.get(b"failures", 0))
    return Breaker(
        failures=failures,
        open_until=time_of(stored[b"opened_ms"]) if failures >= _FAILURES else None,
    )
