"""Which route a claimed job goes by, and who may claim it."""

import asyncio
from datetime import timedelta

from redis.asyncio import Redis

from service.job_store import keys
from service.job_store.gates import Gate
from service.job_store.lease import Kept
from tests.fakes.fleet import (
    break_down,
    claimed,
    claimed_within,
    fail,
    submitted,
    succeed,
)


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
