"""Every scenario at its full size, by the name it is run under.

The tests play the same ones smaller: what holds for forty jobs in a minute is shown
there, and here for as many as the promise speaks of.
"""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.chaos import (
    batches,
    cancels,
    crowd,
    cut,
    deploys,
    durability,
    editions,
    embeds,
    failover,
    fairness,
    followers,
    freeze,
    health,
    kills,
    lines,
    links,
    matrix,
    mixed,
    outage,
    overload,
    permits,
    poison,
    quota,
    repeats,
    replicas,
    resume,
    rush,
    slow_clients,
    soak,
    stale,
    stock_arq,
    versions,
    webhooks,
)
from tests.chaos.report import Report
from tests.chaos.rough import Rough
from tests.chaos.stage import Cast
from tests.fakes import swift
from tests.fakes.stands import swift_place


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What the command line says of a run.

    Attributes:
        minutes: How long those take that take as long as one likes.
        folder: Keeps data, ledger and logs; None: a temporary one.
        against: Commit of another version to run beside this one.
    """

    seed: int
    jobs: int
    minutes: float
    prompts: Path
    folder: Path | None
    against: str | None


Scenario = Callable[[Wish], AsyncIterator[Report]]

SCENARIOS: dict[str, Scenario] = {}

_USUAL = Cast(workers=2, slots=10, lease_s=15, latency_ms=500)


def _named(name: str) -> Callable[[Scenario], Scenario]:
    def enter(scenario: Scenario) -> Scenario:
        SCENARIOS[name] = scenario
        return scenario

    return enter


@_named("kills")
async def _kills(wish: Wish) -> AsyncIterator[Report]:
    yield await kills.run(
        kills.read_prompts(wish.prompts, wish.jobs),
        seed=wish.seed,
        cast=Cast(workers=8, slots=8, lease_s=15, latency_ms=600, patience_s=20),
        folder=wish.folder,
    )


@_named("recovery")
async def _recovery(wish: Wish) -> AsyncIterator[Report]:
    yield await kills.run(
        kills.read_prompts(wish.prompts, 1000),
        seed=wish.seed,
        cast=Cast(workers=4, slots=16, latency_ms=600, patience_s=600),
        pace=kills.Pace(valkey_s=None, door_s=None),
        rough=None,
    )


@_named("store")
async def _store(wish: Wish) -> AsyncIterator[Report]:
    yield await kills.run(
        kills.read_prompts(wish.prompts, 2000),
        seed=wish.seed,
        cast=Cast(workers=2, slots=25, latency_ms=500),
        pace=kills.Pace(worker_s=None, valkey_s=None, door_s=None),
        rough=Rough(errors=0.3, hangs=0.05, seed=wish.seed),
    )


@_named("stale")
async def _stale(_: Wish) -> AsyncIterator[Report]:
    pair = Cast(workers=1, slots=100, lease_s=3, latency_ms=4000)
    yield await stale.run(jobs=100, by="signal", cast=pair)
    yield await stale.run(jobs=100, by="line", cast=pair)


@_named("cancels")
async def _cancels(wish: Wish) -> AsyncIterator[Report]:
    yield await cancels.run(jobs=1000, seed=wish.seed, cast=_USUAL)


@_named("lines")
async def _lines(wish: Wish) -> AsyncIterator[Report]:
    pair = Cast(workers=2, slots=25, latency_ms=200, patience_s=5)
    yield await lines.run(jobs=1000, seed=wish.seed, cast=pair)


@_named("misbehavior")
async def _misbehavior(wish: Wish) -> AsyncIterator[Report]:
    wide = Cast(workers=2, slots=100, latency_ms=100)
    yield await matrix.run(jobs=5, seed=wish.seed, cast=wide)


@_named("fairness")
async def _fairness(_: Wish) -> AsyncIterator[Report]:
    for retries in (False, True):
        yield await fairness.run(crowd=5000, runs=20, retries=retries, cast=_USUAL)


@_named("poison")
async def _poison(_: Wish) -> AsyncIterator[Report]:
    yield await poison.run(jobs=1000, poisons=5, cast=_USUAL)


@_named("outage")
async def _outage(_: Wish) -> AsyncIterator[Report]:
    busy = Cast(workers=2, slots=25, lease_s=15, latency_ms=3000)
    yield await outage.run(jobs=200, away_s=60, by="freezing", cast=busy)
    yield await outage.run(jobs=200, away_s=60, by="killing", cast=busy)


@_named("stock-arq")
async def _stock_arq(_: Wish) -> AsyncIterator[Report]:
    yield await stock_arq.run(jobs=300, cast=_USUAL)


@_named("freeze")
async def _freeze(_: Wish) -> AsyncIterator[Report]:
    yield await freeze.run(rounds=3, cast=_USUAL)


@_named("embeds")
async def _embeds(_: Wish) -> AsyncIterator[Report]:
    yield await embeds.run(
        pages=20, visitors=200, later=2000, foreseen=2000, hit_p99_ms=10, cast=_USUAL
    )


@_named("quota")
async def _quota(wish: Wish) -> AsyncIterator[Report]:
    slow = Cast(workers=2, slots=10, latency_ms=1000)
    yield await rush.run(images=1000, clients=50, each=100, cast=slow)
    yield await quota.run(clients=50, images=1000, seed=wish.seed, cast=_USUAL)
    yield await mixed.run(
        operations=10_000,
        killed_every=100,
        seed=wish.seed,
        cast=Cast(workers=3, slots=20, lease_s=3, latency_ms=100),
    )


@_named("links")
async def _links(wish: Wish) -> AsyncIterator[Report]:
    yield await links.expiry(links=1000, seed=wish.seed)
    yield await links.changes(links=10_000, seed=wish.seed)
    yield await links.retention(jobs=1000, seed=wish.seed)
    if not swift.is_installed():
        return
    with swift_place() as place:
        yield await links.changes(links=10_000, seed=wish.seed, place=place)
        yield await links.retention(jobs=200, seed=wish.seed, place=place)


@_named("repeats")
async def _repeats(_: Wish) -> AsyncIterator[Report]:
    quick = Cast(workers=1, slots=20, latency_ms=50)
    yield await repeats.crowd(rounds=50, callers=200, cast=quick)
    yield await repeats.between(rounds=500, abreast=8, cast=quick)


@_named("cut")
async def _cut(_: Wish) -> AsyncIterator[Report]:
    slow = Cast(workers=2, slots=25, latency_ms=3000)
    yield await cut.run(callers=50, cast=slow)


@_named("resume")
async def _resume(wish: Wish) -> AsyncIterator[Report]:
    yield await resume.run(
        jobs=300,
        every_s=2,
        takes_ms=(1000, 5000),
        seed=wish.seed,
        cast=Cast(workers=4, slots=10, lease_s=4),
    )


@_named("failover")
async def _failover(_: Wish) -> AsyncIterator[Report]:
    pair = Cast(workers=2, slots=25, latency_ms=500)
    yield await failover.run(jobs=600, down_s=60, cast=pair)


@_named("permits")
async def _permits(_: Wish) -> AsyncIterator[Report]:
    wide = Cast(workers=5, slots=100, latency_ms=200)
    yield await permits.run(jobs=500, narrow_ms=400, cast=wide)


@_named("batches")
async def _batches(wish: Wish) -> AsyncIterator[Report]:
    wide = Cast(workers=2, slots=50, latency_ms=200)
    prompts = kills.read_prompts(wish.prompts, 1632)
    yield await batches.run(prompts, cast=wide)
    yield await batches.many(lines=100_000, runs=40, start_ms=100, cast=wide)


@_named("followers")
async def _followers(wish: Wish) -> AsyncIterator[Report]:
    yield await followers.run(jobs=200, cast=_USUAL)
    wide = Cast(workers=2, slots=20, latency_ms=1000)
    yield await crowd.run(clients=500, jobs=250, late_s=1, seed=wish.seed, cast=wide)


@_named("webhooks")
async def _webhooks(wish: Wish) -> AsyncIterator[Report]:
    two = Cast(workers=2, slots=10, lease_s=2)
    yield await webhooks.outage(events=1000, hour_s=20, seed=wish.seed, cast=two)
    yield await webhooks.between(jobs=5, cast=Cast(workers=1, lease_s=2))
    yield await webhooks.hanging(
        good=99, jobs=10, rounds=15, most=1.2, cast=Cast(workers=2)
    )


@_named("durability")
async def _durability(wish: Wish) -> AsyncIterator[Report]:
    kills_of: tuple[tuple[durability.Keeping, int], ...]
    kills_of = (("up", 200), ("strict", 50), ("everysec", 100))
    for keeping, rounds in kills_of:
        yield await durability.run(
            rounds=rounds, writers=2, keeping=keeping, seed=wish.seed
        )
    yield await replicas.run(rounds=20, waits=True, seed=wish.seed)
    yield await replicas.run(rounds=5, waits=False, seed=wish.seed)


@_named("health")
async def _health(wish: Wish) -> AsyncIterator[Report]:
    yield await health.run(rounds=4, seed=wish.seed, cast=_USUAL)


@_named("soak")
async def _soak(wish: Wish) -> AsyncIterator[Report]:
    yield await soak.run(
        per_s=14,
        seconds=60 * wish.minutes,
        forgets=True,
        seed=wish.seed,
        cast=Cast(workers=2, slots=20, latency_ms=200),
        folder=wish.folder,
    )


@_named("overload")
async def _overload(_: Wish) -> AsyncIterator[Report]:
    few = Cast(workers=2, slots=5, latency_ms=1000)
    yield await overload.run(
        seconds=60,
        loud=100,
        others=4,
        most_queued=60,
        times_bare=5,
        in_vain=0.05,
        cast=few,
    )


@_named("slow-clients")
async def _slow_clients(_: Wish) -> AsyncIterator[Report]:
    idle = Cast(workers=1, slots=2, latency_ms=100)
    yield await slow_clients.run(each=500, seconds=20, most=2, cast=idle)


@_named("deploys")
async def _deploys(_: Wish) -> AsyncIterator[Report]:
    three = Cast(workers=3, slots=20, latency_ms=300)
    yield await deploys.run(rounds=20, per_s=50, cast=three)


@_named("versions")
async def _versions(wish: Wish) -> AsyncIterator[Report]:
    pair = Cast(workers=2, slots=8, lease_s=5, latency_ms=300)
    play = {"jobs": 2000, "kills": 10, "seed": wish.seed, "cast": pair}
    with TemporaryDirectory(prefix="later-") as folder:
        yield await versions.beside_later(**play, folder=Path(folder))
    commit = wish.against or editions.latest_release()
    if commit is not None:
        with TemporaryDirectory(prefix="earlier-") as folder:
            yield await versions.beside_earlier(
                **play, commit=commit, folder=Path(folder)
            )
