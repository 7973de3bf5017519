"""New processes for old ones, under load, and versions beside each other."""

from pathlib import Path

import pytest

from tests.chaos import deploys, versions
from tests.chaos.stage import Cast

pytestmark = pytest.mark.slow


async def test_a_rolling_restart_is_not_felt_and_costs_no_attempt():
    cast = Cast(workers=2, slots=10, latency_ms=200)

    report = await deploys.run(rounds=1, per_s=15, cast=cast)

    assert report.is_good, report.as_table()


async def test_two_versions_share_a_queue_and_none_takes_what_it_cannot_read(
    tmp_path: Path,
):
    cast = Cast(workers=1, slots=4, lease_s=1, latency_ms=150)

    report = await versions.beside_later(
        jobs=40, kills=1, seed=7, cast=cast, folder=tmp_path
    )

    assert report.is_good, report.as_table()
    assert report.figures["waited_for_later_workers"] == cast.all_slots
