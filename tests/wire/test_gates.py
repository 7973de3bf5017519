"""Whom the fleet may call: limits and closed providers, in the claim."""

import asyncio
from datetime import timedelta

from service.job_store import keys
from service.job_store.gates import Gate
from service.job_store.scripting import script
from tests.fakes.fleet import (
    claimed,
    claimed_within,
    fail,
    running,
    submitted,
    succeed,
)


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


async def test_an_account_that_makes_many_lanes_has_the_rest_in_one(
    redis, store, fleet
):
    worker = await fleet(dear=Gate(max_in_flight=1), cheap=Gate(max_in_flight=1))
    await submitted(store, "dear/busy", "cheap/busy", count=2, key_id="key_2")
    busy = await claimed(worker)
    ids = [(await submitted(store, f"dear/fox{n}"))[0] for n in range(50)]
    [other] = await submitted(store, "cheap/fox")
    await claimed(worker)

    lanes = {name.decode() for name in await redis.smembers(keys.WAITS)}
    waiting = (await store.gates(["dear/fox1", "cheap/fox"])).providers
    await store.cancel(ids.pop(40), account="ada")
    for lease in busy:
        await succeed(worker, lease)
    order = []
    while leases := await claimed(worker):
        order += [lease.job_id for lease in leases]
        for lease in leases:
            await succeed(worker, lease)

    assert len(lanes) == 34
    assert {"mixed:dear/ada", "mixed:cheap/ada"} <= lanes
    assert (waiting["dear"].waiting, waiting["cheap"].waiting) == (50, 1)
    assert [job_id for job_id in order if job_id != other] == ids
    assert order.index(other) <= 1
    assert await script(redis, "audit")([]) == 0
