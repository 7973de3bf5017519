"""What goes wrong in a world of real processes, small; full sizes are in `full.py`."""

import pytest

from tests.chaos import cancels, kills, lines, matrix, stale
from tests.chaos.rough import Rough
from tests.chaos.stage import Cast

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("by", ["signal", "line"])
async def test_a_worker_that_comes_back_late_changes_nothing(by):
    cast = Cast(workers=1, slots=40, lease_s=2, latency_ms=2500)

    report = await stale.run(jobs=30, by=by, cast=cast)

    assert report.is_good, report.as_table()


async def test_a_job_called_off_at_any_time_ends_once_and_buys_nothing_after_it():
    cast = Cast(workers=2, slots=10, latency_ms=200)

    report = await cancels.run(jobs=150, seed=7, cast=cast)

    assert report.is_good, report.as_table()


async def test_a_store_that_errs_and_hangs_costs_no_image_and_no_second_call():
    spared = kills.Pace(worker_s=None, valkey_s=None, door_s=None)
    cast = Cast(workers=1, slots=40, latency_ms=100)

    report = await kills.run(
        kills.read_prompts(kills.PROMPTS, 100),
        seed=7,
        cast=cast,
        pace=spared,
        rough=Rough(errors=0.3, hangs=0.05),
    )

    assert report.is_good, report.as_table()
    assert report.figures["calls_answered"] == 100


async def test_whatever_a_provider_does_has_its_code_and_holds_up_nobody():
    cast = Cast(workers=1, slots=60, latency_ms=100)

    report = await matrix.run(jobs=2, seed=7, cast=cast)

    assert report.is_good, report.as_table()


async def test_bad_lines_to_all_sides_lose_nothing_and_tell_everything():
    cast = Cast(workers=1, slots=20, lease_s=4, latency_ms=100, patience_s=3)

    report = await lines.run(jobs=80, seed=7, cast=cast)

    assert report.is_good, report.as_table()
