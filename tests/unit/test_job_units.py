"""What jobs cost: units while they wait, what was delivered, the day's ledger."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from service.accounts import Accounts
from service.core.errors import (
    TooMuch,
)
from service.core.jobs import JobState, new_job_id
from service.job_store import keys
from service.job_store.outcomes import Aside, Outcome
from service.settings import Limits
from tests.fakes.store_jobs import ATTEMPT, DONE, IMAGE, charged, finish, job


async def test_reserved_units_count_against_the_quota_until_they_come_back(store):
    new = job(units=6, quota=10)
    await store.submit(new)

    with pytest.raises(TooMuch) as refused:
        await store.submit(replace(new, id=new_job_id()))
    await store.cancel(new.id, account="ada")
    await store.submit(replace(new, id=new_job_id()))

    assert refused.value.code == "quota_exceeded"
    assert refused.value.retry_after <= timedelta(seconds=5)


async def test_units_are_charged_for_delivered_images_only(store, leases, redis):
    await store.submit(job(units=8, quota=10))
    [lease] = (await leases.claim(1, held={})).leases

    await leases.commit(lease, replace(DONE, asked=4))

    use = await redis.hgetall(keys.use("key_1"))
    assert charged(use) == 2
    assert use[b"reserved"] == b"0"


async def test_failed_jobs_cost_no_units(store, leases, redis):
    await store.submit(job(units=8, quota=10))
    [lease] = (await leases.claim(1, held={})).leases

    failed = Outcome(state=JobState.FAILED, attempt=ATTEMPT, error={"code": "x"})
    await leases.commit(lease, failed)

    assert charged(await redis.hgetall(keys.use("key_1"))) == 0


async def test_the_ledger_counts_each_job_on_the_day_it_was_submitted(
    store, leases, redis
):
    accounts = Accounts(redis, Limits())
    for _ in range(4):
        await store.submit(job(units=10))
    held = (await leases.claim(3, held={})).leases
    priced = replace(
        DONE, asked=2, cost_usd="0.0402", cost_source="priced", model="a/b"
    )
    await leases.commit(held[0], priced)
    await leases.commit(held[1], replace(DONE, cost_usd="0.5", cost_source="reported"))
    failed = Outcome(state=JobState.FAILED, attempt=ATTEMPT, error={"code": "x"})
    await leases.commit(held[2], failed)

    today = datetime.now(UTC).date()
    [day] = await accounts.usage("ada", today - timedelta(days=1), today)

    assert (day.key_id, day.day) == ("key_1", today)
    assert (day.jobs, day.succeeded, day.failed, day.canceled) == (4, 2, 1, 0)
    assert (day.images, day.units) == (2, 15)
    assert day.cost_micros == {"priced": 40_200, "reported": 500_000}
    assert await store.popular() == ["a/b"]


async def test_what_failed_attempts_cost_is_in_the_ledger_and_counted_once(
    store, leases, redis
):
    paid = replace(ATTEMPT, outcome="failed", cost_usd="0.03", cost_source="priced")
    failed = Outcome(state=JobState.FAILED, attempt=paid, error={"code": "x"})
    aside = Aside(attempt=replace(paid, cost_source="reported"))
    first, second = job(), job()
    await store.submit(first)
    [lease] = (await leases.claim(1, held={})).leases
    for _ in range(2):  # the first answer was lost on its way
        await leases.retry(lease, paid, wait=timedelta(0), aside=aside)
    [lease] = (await leases.claim(1, held={})).leases
    await leases.commit(lease, failed)
    await store.submit(second)
    [lease] = (await leases.claim(1, held={})).leases
    await store.cancel(second.id, account="ada")
    for _ in range(2):
        await leases.commit(lease, failed)

    today = datetime.now(UTC).date()
    [day] = await Accounts(redis, Limits()).usage("ada", today, today)
    read = await store.get(first.id, account="ada")

    assert day.cost_micros == {"priced": 90_000, "reported": 30_000}
    assert (read.spent, read.cost_usd) == ((Decimal("0.09"), "priced"), None)


async def test_the_models_that_drew_most_are_popular(store, leases):
    for name, images in {"a/rare": 1, "a/often": 3, "a/some": 2}.items():
        await store.submit(job())
        await finish(leases, replace(DONE, images=(IMAGE,) * images, model=name))

    popular = await store.popular(limit=2)

    assert popular == ["a/often", "a/some"]


async def test_what_is_counted_by_the_day_does_not_stay_for_ever(store, leases, redis):
    await store.submit(job())
    await finish(leases, replace(DONE, model="a/b"))

    [ledger] = await redis.keys("darkroom:usage:*")
    [popular] = await redis.keys("darkroom:popular:*")

    assert 399 * 86_400 < await redis.ttl(ledger) <= 400 * 86_400
    assert 34 * 86_400 < await redis.ttl(popular) <= 35 * 86_400
