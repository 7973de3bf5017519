"""The full run of `make chaos`, small: 300 prompts while everything is being killed."""

import pytest

from tests.chaos import kills
from tests.chaos.stage import Cast

_SEED = 20261121
_CAST = Cast(workers=3, slots=8, lease_s=3, latency_ms=400)


@pytest.mark.slow
async def test_no_job_is_lost_or_paid_for_twice_whatever_is_killed():
    prompts = kills.read_prompts(kills.PROMPTS, 300)

    report = await kills.run(prompts, seed=_SEED, cast=_CAST)

    assert report.is_good, report.as_table()
    assert report.figures["valkey_kills"] == 3
    assert report.figures["door_kills"] == 2
