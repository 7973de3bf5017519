"""The full run of `make chaos`, small: 200 prompts while everything is being killed."""

import pytest

from tests.chaos import kills
from tests.chaos.stage import Cast

_SEED = 20261121
_CAST = Cast(workers=3, slots=12, lease_s=3, latency_ms=400, patience_s=6)


@pytest.mark.slow
@pytest.mark.timeout(300)  # the last jobs may die a few times more
async def test_no_job_is_lost_or_paid_for_twice_whatever_is_killed():
    prompts = kills.read_prompts(kills.PROMPTS, 200)
    pace = kills.Pace(worker_s=3, valkey_s=5, door_s=6)

    report = await kills.run(prompts, seed=_SEED, cast=_CAST, pace=pace)

    assert report.is_good, report.as_table()
    assert min(report.figures[f"{one}_kills"] for one in ("worker", "valkey", "door"))
