"""New processes for old ones, under load."""

import pytest

from tests.chaos import deploys
from tests.chaos.stage import Cast

pytestmark = pytest.mark.slow


async def test_a_rolling_restart_is_not_felt_and_costs_no_attempt():
    cast = Cast(workers=2, slots=10, latency_ms=200)

    report = await deploys.run(rounds=1, per_s=15, cast=cast)

    assert report.is_good, report.as_table()
