"""Routes that fail: their breaker opens for all, and one call tries them again."""

from datetime import UTC, datetime, timedelta

from service.job_store.gates import Gate
from tests.fakes.fleet import (
    break_down,
    claimed,
    fail,
    forget_the_wait,
    submitted,
    succeed,
)


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


async def test_a_call_from_before_the_breaker_opened_ends_no_try(redis, store, fleet):
    worker = await fleet(dear=Gate())
    await submitted(store, "dear/fox", count=2)
    early, hasty = await claimed(worker)
    await break_down(store, worker, "dear/fox")
    await forget_the_wait(redis, "dear/fox")
    [probe] = await claimed(worker)

    await store.cancel(early.job_id, account="ada")
    await worker.release(hasty)
    beside = await claimed(worker)
    await store.cancel(probe.job_id, account="ada")

    assert beside == ()
    assert len(await claimed(worker)) == 1


async def test_a_missing_credit_shuts_the_route_at_once(store, fleet):
    worker = await fleet(dear=Gate())
    await submitted(store, "dear/fox", count=2)
    [lease] = await claimed(worker, 1)

    await fail(worker, lease, "shut")
    claim = await worker.claim(100, held={})

    assert claim.leases == ()
    assert timedelta(seconds=59) < claim.next_due <= timedelta(seconds=60)


async def test_a_broken_model_holds_up_no_other_of_its_provider(store, fleet):
    worker = await fleet(dear=Gate(max_in_flight=5))
    await submitted(store, "dear/fox", count=6)
    [owl] = await submitted(store, "dear/owl")
    foxes = await claimed(worker)
    await claimed(worker)

    for lease in foxes:
        await fail(worker, lease)

    assert [lease.job_id for lease in await claimed(worker)] == [owl]


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
