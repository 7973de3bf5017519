"""What may go wrong besides, each with real processes and smaller than the driver's."""

import pytest

from tests.chaos import (
    batches,
    crowd,
    cut,
    embeds,
    failover,
    fairness,
    followers,
    freeze,
    kills,
    mixed,
    outage,
    permits,
    poison,
    quota,
    repeats,
    resume,
    rush,
    stock_arq,
    webhooks,
)
from tests.chaos.stage import Cast

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("retries", [False, True], ids=["queued", "retries"])
async def test_ten_jobs_do_not_wait_for_a_crowd(retries):
    cast = Cast(workers=2, slots=10, latency_ms=500)

    report = await fairness.run(crowd=1000, runs=3, retries=retries, cast=cast)

    assert report.is_good, report.as_table()


async def test_a_poison_job_is_parked_and_takes_nobody_along():
    cast = Cast(workers=2, slots=10, lease_s=2, latency_ms=200)

    report = await poison.run(jobs=100, poisons=2, cast=cast)

    assert report.is_good, report.as_table()


@pytest.mark.parametrize("by", ["freezing", "killing"])
async def test_an_outage_longer_than_the_lease_buys_nothing_twice(by):
    cast = Cast(workers=2, slots=25, lease_s=2, latency_ms=2000)

    report = await outage.run(jobs=100, away_s=5, by=by, cast=cast)

    assert report.is_good, report.as_table()


async def test_what_a_stock_arq_worker_throws_out_comes_back():
    cast = Cast(workers=2, slots=4, latency_ms=400)

    report = await stock_arq.run(jobs=40, cast=cast)

    assert report.is_good, report.as_table()


async def test_a_frozen_valkey_refuses_in_time_and_for_good():
    cast = Cast(workers=1, slots=4, latency_ms=50)

    report = await freeze.run(rounds=1, cast=cast)

    assert report.is_good, report.as_table()


async def test_calls_cut_off_twice_make_one_job_and_one_call_upstream():
    cast = Cast(workers=1, slots=10, latency_ms=1500)

    report = await cut.run(callers=5, cast=cast)

    assert report.is_good, report.as_table()


async def test_two_hundred_equal_embeds_make_one_call_and_hits_cost_nothing():
    cast = Cast(workers=1, slots=10, latency_ms=500)

    report = await embeds.run(pages=3, visitors=200, later=100, foreseen=60, cast=cast)

    assert report.is_good, report.as_table()


async def test_two_hundred_equal_submissions_are_one_job():
    cast = Cast(workers=1, slots=10, latency_ms=50)

    report = await repeats.crowd(rounds=3, callers=200, cast=cast)

    assert report.is_good, report.as_table()


async def test_a_submission_repeated_behind_the_back_of_a_dead_door_is_the_same_job():
    cast = Cast(workers=1, slots=10, latency_ms=50)

    report = await repeats.between(rounds=5, abreast=6, cast=cast)

    assert report.is_good, report.as_table()


async def test_a_quota_shared_by_many_is_spent_to_the_last_unit_and_no_further():
    cast = Cast(workers=2, slots=10, latency_ms=100)

    report = await quota.run(clients=50, images=200, seed=7, cast=cast)

    assert report.is_good, report.as_table()


async def test_a_rush_is_granted_exactly_what_there_is():
    cast = Cast(workers=2, slots=20, latency_ms=1000)

    report = await rush.run(images=80, clients=20, each=10, cast=cast)

    assert report.is_good, report.as_table()


async def test_no_mixture_of_deeds_and_deaths_makes_a_quota_drift():
    cast = Cast(workers=2, slots=20, lease_s=2, latency_ms=100)

    report = await mixed.run(operations=250, killed_every=50, seed=7, cast=cast)

    assert report.is_good, report.as_table()


async def test_tasks_of_dead_workers_are_looked_at_and_not_bought_again():
    cast = Cast(workers=3, slots=8, lease_s=2)

    report = await resume.run(
        jobs=24, every_s=2, takes_ms=(1000, 3000), seed=7, cast=cast
    )

    assert report.is_good, report.as_table()


async def test_a_provider_that_fails_is_left_for_the_next_and_tried_again():
    cast = Cast(workers=2, slots=10, latency_ms=100)

    report = await failover.run(jobs=60, down_s=4, cast=cast)

    assert report.is_good, report.as_table()


async def test_a_narrow_provider_holds_up_nobody_else():
    cast = Cast(workers=2, slots=50, latency_ms=100)

    report = await permits.run(jobs=100, narrow_ms=200, cast=cast)

    assert report.is_good, report.as_table()


async def test_followers_hear_everything_once_whoever_is_killed():
    cast = Cast(workers=2, slots=10, latency_ms=200)

    report = await followers.run(jobs=200, cast=cast)

    assert report.is_good, report.as_table()


async def test_followers_on_bad_lines_hear_everything_once_and_soon():
    cast = Cast(workers=2, slots=10, latency_ms=500)

    report = await crowd.run(clients=120, jobs=60, late_s=10, seed=7, cast=cast)

    assert report.is_good, report.as_table()


async def test_webhooks_outlive_their_receivers_and_their_senders():
    cast = Cast(workers=2, slots=10, lease_s=1)

    report = await webhooks.outage(events=200, hour_s=4, seed=7, cast=cast)

    assert report.is_good, report.as_table()


async def test_a_sender_that_dies_unanswered_is_followed_by_one_that_says_it_again():
    report = await webhooks.between(jobs=3, cast=Cast(workers=1, lease_s=1))

    assert report.is_good, report.as_table()


async def test_a_receiver_that_hangs_holds_up_nobody_else():
    cast = Cast(workers=1, slots=10)

    report = await webhooks.hanging(good=20, jobs=10, rounds=3, most=2, cast=cast)

    assert report.is_good, report.as_table()


async def test_batches_are_made_once_and_joined_to_their_prompts():
    cast = Cast(workers=2, slots=10, latency_ms=150)

    report = await batches.run(kills.read_prompts(kills.PROMPTS, 160), cast=cast)

    assert report.is_good, report.as_table()


async def test_a_large_batch_is_not_felt():
    cast = Cast(workers=2, slots=10, latency_ms=100)

    report = await batches.many(lines=3000, runs=3, start_ms=1000, cast=cast)

    assert report.is_good, report.as_table()
