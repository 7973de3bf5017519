"""Whom the fleet may call: limits, closed providers and breakers, in the claim."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta

import pytest
from redis.asyncio import Redis

from service.core.jobs import Attempt, JobState, new_job_id
from service.core.requests import GenerationRequest, Priority
from service.job_store import JobStore, keys
from service.job_store.gates import Gate
from service.job_store.lease import Kept, Lease
from service.job_store.leases import Leases
from service.job_store.outcomes import Outcome
from service.job_store.records import NewJob
from service.job_store.scripting import script
from tests.fakes.crew import Crew
from tests.fakes.providers import ScriptedProvider

NO_WAIT = timedelta(0)
Fleet = Callable[..., Leases]


@pytest.fixture
async def store(redis: Redis) -> AsyncIterator[JobStore]:
    store = JobStore(redis)
    yield store
    await store.aclose()


@pytest.fixture
async def fleet(redis: Redis) -> AsyncIterator[Fleet]:
    """Hires workers; each serves the providers it is given."""
    hired = list[Leases]()

    async def hire(*, lease: float = 15, **gates: Gate) -> Leases:
        leases = Leases(
            redis,
            worker=f"w{len(hired)}",
            slots=100,
            lease=timedelta(seconds=lease),
            gates=gates,
        )
        hired.append(leases)
        await leases.announce()
        return leases

    yield hire
    for leases in hired:
        await leases.aclose()


async def submitted(
    store: JobStore, *routes: str, count: int = 1, n: int = 1, **wishes: object
) -> list[str]:
    jobs = [
        NewJob(
            id=new_job_id(),
            account="ada",
            request=GenerationRequest(model="test/test", prompt=f"fox {number}", n=n),
            routes=routes,
            **{"key_id": "key_1", "priority": Priority.NORMAL, **wishes},
        )
        for number in range(count)
    ]
    return [(await store.submit(job)).job_id for job in jobs]


async def claimed(worker: Leases, most: int = 100) -> tuple[Lease, ...]:
    return (await worker.claim(most, held={})).leases


async def claimed_within(worker: Leases, within_s: float) -> tuple[Lease, ...]:
    """Return what the first claim takes that takes anything."""
    async with asyncio.timeout(within_s):
        while not (leases := await claimed(worker)):
            await asyncio.sleep(0.02)
    return leases


def attempt(lease: Lease, outcome: str = "succeeded") -> Attempt:
    provider, _, model = (lease.route or "/").partition("/")
    return Attempt(
        provider=provider, model=model, started_at=datetime.now(UTC), outcome=outcome
    )


async def succeed(worker: Leases, lease: Lease) -> None:
    done = Outcome(state=JobState.SUCCEEDED, attempt=attempt(lease))
    assert await worker.commit(lease, done)


async def fail(worker: Leases, lease: Lease, report: str = "fault", **how) -> None:
    how = {"wait": NO_WAIT, **how}
    assert await worker.retry(lease, attempt(lease, "failed"), report=report, **how)


async def break_down(store: JobStore, worker: Leases, route: str) -> list[str]:
    """Let five calls in a row fail; return their jobs."""
    ids = await submitted(store, route, count=5)
    for lease in await claimed(worker):
        await fail(worker, lease)
    return ids


async def forget_the_wait(redis: Redis, route: str) -> None:
    """Pretend that the time for which a breaker is open has passed."""
    await redis.hset(keys.route(route), mapping={"opened_ms": 0, "probe_ms": 0})


async def images(redis: Redis, provider: str) -> int:
    return int(await redis.hget(keys.gate(provider), "images") or 0)


async def running(redis: Redis, provider: str) -> int:
    return int(await redis.hget(keys.gate(provider), "running") or 0)


async def test_two_workers_share_one_limit(store, fleet):
    one, two = [await fleet(dear=Gate(max_in_flight=3)) for _ in range(2)]
    await submitted(store, "dear/fox", count=10)

    first, second = await claimed(one, 2), await claimed(two)

    assert (len(first), len(second)) == (2, 1)
    assert {lease.route for lease in first + second} == {"dear/fox"}
    assert await claimed(one) == ()


async def test_the_end_of_a_call_lets_the_next_job_in(redis, store, fleet):
    worker = await fleet(dear=Gate(max_in_flight=1))
    first, second = await submitted(store, "dear/fox", count=2)
    [lease] = await claimed(worker)
    await redis.delete(keys.BELL)

    await succeed(worker, lease)

    assert lease.job_id == first
    assert await redis.llen(keys.BELL) == 1
    assert [lease.job_id for lease in await claimed(worker)] == [second]


async def test_a_canceled_job_gives_its_permit_back(store, fleet):
    worker = await fleet(dear=Gate(max_in_flight=1))
    first, second = await submitted(store, "dear/fox", count=2)
    await claimed(worker)

    await store.cancel(first, account="ada")

    assert [lease.job_id for lease in await claimed(worker)] == [second]


async def test_a_drained_job_gives_its_permit_back_and_takes_it_again(
    redis, store, fleet
):
    worker = await fleet(dear=Gate(max_in_flight=1))
    await submitted(store, "dear/fox")
    [lease] = await claimed(worker)

    await worker.release(lease)

    assert await running(redis, "dear") == 0
    assert len(await claimed(worker)) == 1
    assert await running(redis, "dear") == 1


async def test_a_dead_workers_call_stays_one_call_when_another_takes_over(
    redis, store, fleet
):
    dying = await fleet(lease=0.2, dear=Gate(max_in_flight=1))
    heir = await fleet(lease=0.2, dear=Gate(max_in_flight=1))
    first, second = await submitted(store, "dear/fox", count=2)
    await claimed(dying)

    [lease] = await claimed_within(heir, 5)

    assert (lease.job_id, lease.interruptions) == (first, 1)
    assert await running(redis, "dear") == 1
    await succeed(heir, lease)
    assert [lease.job_id for lease in await claimed(heir)] == [second]


async def test_a_repeated_claim_counts_its_calls_once(redis, store, fleet):
    worker = await fleet(dear=Gate(max_in_flight=5))
    await submitted(store, "dear/fox", count=2)
    first = await claimed(worker)

    worker._answered = False  # the answer was lost on its way
    again = await claimed(worker)

    assert [lease.job_id for lease in again] == [lease.job_id for lease in first]
    assert await running(redis, "dear") == 2


async def test_jobs_of_a_saturated_provider_take_no_slot_of_others(store, fleet):
    worker = await fleet(dear=Gate(max_in_flight=1), cheap=Gate())
    await submitted(store, "dear/fox", count=20)
    await submitted(store, "cheap/fox", count=5)

    leases = await claimed(worker, 6)

    assert sorted(lease.route for lease in leases) == ["cheap/fox"] * 5 + ["dear/fox"]


async def test_calls_per_minute_are_spread_over_it(store, fleet):
    worker = await fleet(dear=Gate(requests_per_minute=300))
    await submitted(store, "dear/fox", count=7)
    begun = asyncio.get_running_loop().time()

    at_once = len(await claimed(worker))
    next_due = (await worker.claim(100, held={})).next_due
    for _ in range(2):
        await claimed_within(worker, 2)

    assert at_once == 5
    assert next_due <= timedelta(seconds=0.21)
    assert asyncio.get_running_loop().time() - begun >= 0.39


async def test_a_job_takes_as_much_of_a_providers_images_as_it_asks_for(
    redis, store, fleet
):
    one, two = [await fleet(dear=Gate(max_images_in_flight=5)) for _ in range(2)]
    await submitted(store, "dear/fox", count=3, n=2)
    first, second = await claimed(one)

    beside = await claimed(two)
    await succeed(one, first)
    await fail(one, second)
    [third] = await claimed(two, 1)

    assert beside == ()
    assert await images(redis, "dear") == 2
    await store.cancel(third.job_id, account="ada")
    assert await images(redis, "dear") == 0


async def test_room_for_many_images_is_saved_for_whoever_waits_for_it(store, fleet):
    worker = await fleet(dear=Gate(max_images_in_flight=4))
    await submitted(store, "dear/fox", count=2, n=2)
    first, second = await claimed(worker)
    [many] = await submitted(store, "dear/fox", n=4)
    await submitted(store, "dear/owl", count=2)

    await succeed(worker, first)
    meanwhile = await claimed(worker)
    await succeed(worker, second)
    [lease] = await claimed(worker)
    await succeed(worker, lease)

    assert meanwhile == ()
    assert lease.job_id == many
    assert len(await claimed(worker)) == 2


async def test_a_job_for_more_images_than_there_may_be_goes_alone(store, fleet):
    worker = await fleet(dear=Gate(max_images_in_flight=2))
    [small] = await submitted(store, "dear/fox")
    [large] = await submitted(store, "dear/fox", n=4)
    [first] = await claimed(worker)
    beside = await claimed(worker)

    await succeed(worker, first)
    [second] = await claimed(worker)

    assert (first.job_id, second.job_id) == (small, large)
    assert beside == ()
    await submitted(store, "dear/fox")
    assert await claimed(worker) == ()


async def test_a_dead_workers_images_stay_counted_until_somebody_ends_its_job(
    redis, store, fleet
):
    dying = await fleet(lease=0.2, dear=Gate(max_images_in_flight=3))
    heir = await fleet(lease=0.2, dear=Gate(max_images_in_flight=3))
    await submitted(store, "dear/fox", n=3)
    await claimed(dying)

    [lease] = await claimed_within(heir, 5)

    assert await images(redis, "dear") == 3
    await succeed(heir, lease)
    assert await images(redis, "dear") == 0


async def test_images_that_an_older_version_did_not_count_are_forgotten(
    redis, store, fleet
):
    worker = await fleet(dear=Gate(max_images_in_flight=3))
    await submitted(store, "dear/fox", n=3)
    [lease] = await claimed(worker)
    await redis.hset(keys.gate("dear"), "images", 0)

    await succeed(worker, lease)

    assert await images(redis, "dear") == 0


async def test_a_retry_after_closes_the_provider_for_all_until_it_has_passed(
    store, fleet
):
    one, two = [await fleet(dear=Gate()) for _ in range(2)]
    await submitted(store, "dear/fox", count=3)
    [lease] = await claimed(one, 1)

    await fail(one, lease, "", closed=timedelta(seconds=0.5))
    claim = await two.claim(100, held={})

    assert claim.leases == ()
    assert timedelta(seconds=0.3) < claim.next_due <= timedelta(seconds=0.5)
    assert len(await claimed_within(two, 2)) == 3


async def test_five_failures_in_a_row_open_the_breaker_for_all_workers(store, fleet):
    one, two = [await fleet(dear=Gate()) for _ in range(2)]
    await break_down(store, one, "dear/fox")
    await submitted(store, "dear/owl")

    claim = await two.claim(100, held={})

    assert [lease.route for lease in claim.leases] == ["dear/owl"]
    assert timedelta(seconds=4) < claim.next_due <= timedelta(seconds=5)


async def test_a_success_between_them_keeps_the_breaker_closed(store, fleet):
    worker = await fleet(dear=Gate())
    await submitted(store, "dear/fox", count=9)
    leases = await claimed(worker)
    for lease in leases[:4]:
        await fail(worker, lease)
    await succeed(worker, leases[4])

    for lease in leases[5:]:
        await fail(worker, lease)

    assert len(await claimed(worker)) == 8


async def test_one_call_tries_a_broken_route_and_its_success_lets_all_in(
    redis, store, fleet
):
    one, two = [await fleet(dear=Gate()) for _ in range(2)]
    await break_down(store, one, "dear/fox")
    await claimed(one)
    await forget_the_wait(redis, "dear/fox")

    [probe] = await claimed(one)
    beside = await claimed(two)
    await succeed(one, probe)

    assert beside == ()
    assert len(await claimed(two)) == 4


async def test_a_failed_try_opens_the_breaker_for_twice_as_long(redis, store, fleet):
    worker = await fleet(dear=Gate())
    await break_down(store, worker, "dear/fox")
    await forget_the_wait(redis, "dear/fox")
    [probe] = await claimed(worker)

    await fail(worker, probe)
    claim = await worker.claim(100, held={})

    assert claim.leases == ()
    assert timedelta(seconds=9) < claim.next_due <= timedelta(seconds=10)


async def test_a_try_that_was_canceled_leaves_the_next_to_another(redis, store, fleet):
    worker = await fleet(dear=Gate())
    await break_down(store, worker, "dear/fox")
    await forget_the_wait(redis, "dear/fox")
    [probe] = await claimed(worker)

    await store.cancel(probe.job_id, account="ada")

    assert len(await claimed(worker)) == 1


async def test_a_missing_credit_shuts_the_route_at_once(store, fleet):
    worker = await fleet(dear=Gate())
    await submitted(store, "dear/fox", count=2)
    [lease] = await claimed(worker, 1)

    await fail(worker, lease, "shut")
    claim = await worker.claim(100, held={})

    assert claim.leases == ()
    assert timedelta(seconds=59) < claim.next_due <= timedelta(seconds=60)


async def test_a_job_takes_its_next_route_while_the_first_is_open(store, fleet):
    worker = await fleet(dear=Gate(), cheap=Gate())
    await break_down(store, worker, "dear/fox")
    await submitted(store, "dear/fox", "cheap/fox")

    [lease] = await claimed(worker)

    assert lease.route == "cheap/fox"
    assert lease.routes == ("dear/fox", "cheap/fox")


async def test_a_failed_job_goes_on_with_the_routes_it_has_left(store, fleet):
    worker = await fleet(dear=Gate(), cheap=Gate())
    await submitted(store, "dear/fox", "cheap/fox")
    [lease] = await claimed(worker)

    await fail(worker, lease, "", routes=("cheap/fox",))
    [again] = await claimed(worker)

    assert (lease.route, again.route) == ("dear/fox", "cheap/fox")
    assert again.routes == ("cheap/fox",)


async def test_a_broken_model_holds_up_no_other_of_its_provider(store, fleet):
    worker = await fleet(dear=Gate(max_in_flight=5))
    await submitted(store, "dear/fox", count=6)
    [owl] = await submitted(store, "dear/owl")
    foxes = await claimed(worker)
    await claimed(worker)

    for lease in foxes:
        await fail(worker, lease)

    assert [lease.job_id for lease in await claimed(worker)] == [owl]


async def test_lanes_that_wait_for_one_provider_take_turns_by_tag(store, fleet):
    worker = await fleet(dear=Gate(max_in_flight=1))
    routes = ["dear/fox", "dear/owl", "dear/fox", "dear/owl"]
    ids = [(await submitted(store, route))[0] for route in routes]
    order = []

    for _ in ids:
        [lease] = await claimed(worker)
        order.append(lease.job_id)
        await succeed(worker, lease)

    assert order == ids


async def test_a_job_with_tasks_upstream_waits_for_their_route_alone(store, fleet):
    worker = await fleet(dear=Gate(max_in_flight=1), cheap=Gate())
    [bought] = await submitted(store, "dear/fox", "cheap/fox")
    [lease] = await claimed(worker)
    await worker.keep(lease, Kept("dear/fox", ("task",)))
    await fail(worker, lease, "", goes_on=True, wait=timedelta(seconds=0.1))
    await submitted(store, "dear/fox")
    [busy] = await claimed(worker)
    await asyncio.sleep(0.15)

    meanwhile = await claimed(worker)
    await succeed(worker, busy)
    [again] = await claimed(worker)

    assert meanwhile == ()
    assert (again.job_id, again.route) == (bought, "dear/fox")


async def test_tasks_upstream_are_looked_at_though_the_breaker_is_open(store, fleet):
    worker = await fleet(dear=Gate(), cheap=Gate())
    await submitted(store, "dear/fox", "cheap/fox")
    [lease] = await claimed(worker)
    await worker.keep(lease, Kept("dear/fox", ("task",)))
    await fail(worker, lease, "shut", goes_on=True)

    [again] = await claimed(worker)

    assert (again.route, again.kept) == ("dear/fox", Kept("dear/fox", ("task",)))


async def test_who_cannot_call_a_provider_leaves_its_jobs_to_those_who_can(
    store, fleet
):
    able, unable = await fleet(dear=Gate()), await fleet(cheap=Gate())
    await submitted(store, "dear/fox")

    left_alone = await claimed(unable)

    assert left_alone == ()
    assert [lease.route for lease in await claimed(able)] == ["dear/fox"]


async def test_a_job_that_nobody_can_call_for_is_claimed_to_be_told_so(store, fleet):
    worker = await fleet(cheap=Gate())
    await submitted(store, "dear/fox")

    [lease] = await claimed(worker)

    assert lease.route is None


async def pretend_silence(redis: Redis, *providers: str, s: float) -> None:
    """Pretend that for so long nobody named these providers."""
    seconds, _ = await redis.time()
    for name in providers:
        await redis.hset(keys.gate(name), "seen_ms", int((seconds - s) * 1000))


async def test_after_an_outage_no_worker_speaks_for_those_who_could_not(
    redis, store, fleet
):
    able, unable = await fleet(dear=Gate()), await fleet(cheap=Gate())
    await submitted(store, "dear/fox")
    seconds, _ = await redis.time()
    await redis.set(f"{keys.QUEUE}:pulse", (seconds - 3600) * 1000)
    await pretend_silence(redis, "dear", "cheap", s=3600)

    left_alone = await claimed(unable)
    await asyncio.sleep(0.01)
    still_left_alone = await claimed(unable)

    assert left_alone == still_left_alone == ()
    assert [lease.route for lease in await claimed(able)] == ["dear/fox"]


async def test_the_jobs_of_a_provider_wait_for_a_slow_restart_of_its_only_worker(
    redis, store, fleet
):
    able, unable = await fleet(dear=Gate()), await fleet(cheap=Gate())
    ids = await submitted(store, "dear/fox", count=2)
    await pretend_silence(redis, "dear", s=9 * 60)

    left_alone = await claimed(unable)
    [lease] = await claimed(able, 1)
    await pretend_silence(redis, "dear", s=11 * 60)
    [given_up] = await claimed(unable)

    assert left_alone == ()
    assert (lease.job_id, lease.route) == (ids[0], "dear/fox")
    assert (given_up.job_id, given_up.route) == (ids[1], None)


async def test_a_dead_workers_job_is_left_to_those_who_can_call_its_provider(
    store, fleet
):
    dying, able = [await fleet(lease=0.2, dear=Gate()) for _ in range(2)]
    unable = await fleet(lease=0.2, cheap=Gate())
    [job_id] = await submitted(store, "dear/fox", "cheap/fox")
    await claimed(dying)
    async with asyncio.timeout(5):
        while not (await unable.claim(1, held={})).left:
            await asyncio.sleep(0.02)

    refused = await claimed(unable)
    [lease] = await claimed_within(able, 5)

    assert refused == ()
    assert (lease.job_id, lease.route) == (job_id, "dear/fox")


async def test_a_key_at_its_limit_is_not_held_up_by_its_jobs_that_wait_for_a_provider(
    store, fleet
):
    worker = await fleet(dear=Gate(max_in_flight=1), cheap=Gate())
    await submitted(store, "dear/fox", key_id="key_2")
    await claimed(worker)
    [busy] = await submitted(store, "cheap/fox", most_running=1)
    await submitted(store, "dear/fox", most_running=1)
    [free] = await submitted(store, "cheap/fox", most_running=1)
    [lease] = await claimed(worker)
    await claimed(worker)

    await succeed(worker, lease)
    await claimed(worker)
    leases = await claimed_within(worker, 1)

    assert lease.job_id == busy
    assert [lease.job_id for lease in leases] == [free]


async def test_a_job_that_waits_for_a_provider_is_counted_told_and_ended_like_others(
    redis, store, fleet
):
    worker = await fleet(dear=Gate(max_in_flight=1))
    ids = await submitted(store, "dear/fox", count=3)
    [late] = await submitted(store, "dear/fox", start_within=timedelta(seconds=0.1))
    await claimed(worker)
    waiting = [await store.get(job_id, account="ada") for job_id in ids[1:]]

    places = [await store.position(job) for job in waiting]
    unaccounted = await script(redis, "audit")([])
    await store.cancel(ids[1], account="ada")
    await store.forget([ids[1]])
    await asyncio.sleep(0.15)
    expired = await script(redis, "expire")([100, 60_000])

    assert places == [1, 2]
    assert unaccounted == 0
    assert await redis.exists(keys.job(ids[1])) == 0
    assert [job_id.decode() for job_id in expired] == [late]
    assert await script(redis, "audit")([]) == 0


async def test_whoever_looks_is_told_what_decides_the_next_claim(store, fleet):
    worker = await fleet(
        dear=Gate(max_in_flight=6, requests_per_minute=6000, max_images_in_flight=60)
    )
    await break_down(store, worker, "dear/fox")
    await submitted(store, "dear/owl", count=7)
    leases = await claimed(worker)
    await fail(worker, leases[0], "", closed=timedelta(seconds=9))
    await claimed(worker)

    found = await store.gates(["dear/fox", "dear/owl", "cheap/fox"])

    dear, now = found.providers["dear"], datetime.now(UTC)
    assert (dear.running, dear.max_in_flight, dear.requests_per_minute) == (5, 6, 6000)
    assert (dear.images, dear.max_images_in_flight) == (5, 60)
    assert dear.closed_until - now > timedelta(seconds=7)
    assert now - dear.served_at < timedelta(seconds=5)
    assert found.routes["dear/fox"].failures == 5
    assert found.routes["dear/fox"].open_until > now
    assert found.routes["dear/owl"].open_until is None
    assert found.providers["cheap"].served_at is None
    assert (dear.waiting, found.waiting) == (7, 7)
    assert found.providers["cheap"].waiting == 0


async def test_a_job_without_routes_passes_every_gate(store, fleet):
    worker = await fleet(dear=Gate(max_in_flight=1))
    await submitted(store, count=3)

    leases = await claimed(worker)

    assert [lease.route for lease in leases] == [None] * 3


async def test_a_worker_that_serves_nobody_claims_what_nobody_serves(store, fleet):
    worker = await fleet()
    await submitted(store, "dear/fox")

    [lease] = await claimed(worker)

    assert lease.route is None


async def test_what_the_catalog_allows_is_told_by_whoever_can_call(
    redis, store, shared_valkey, tmp_path
):
    catalog = """
[providers.dear]
adapter = "test"
max_in_flight = 7
max_images_in_flight = 9
requests_per_minute = 60
[models.fox]
routes = ["dear/fox"]
sizes = ["64x64"]
"""
    crew = Crew(url=shared_valkey.url, redis=redis, folder=tmp_path, catalog=catalog)
    async with crew, crew.worker(dear=ScriptedProvider(picture=b"")):
        async with asyncio.timeout(5):
            while not await redis.exists(keys.gate("dear")):
                await asyncio.sleep(0.01)

    told = (await store.gates(["dear/fox"])).providers["dear"]
    assert (told.max_in_flight, told.max_images_in_flight) == (7, 9)
    assert told.requests_per_minute == 60
