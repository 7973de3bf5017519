"""A soak of seconds: what tasks and descriptors callers leave behind shows at once."""

import pytest

from tests.chaos import soak
from tests.chaos.habits import HABITS
from tests.chaos.stage import Cast

pytestmark = pytest.mark.slow


async def test_callers_of_all_habits_leave_nothing_open():
    cast = Cast(workers=1, slots=10, latency_ms=50)

    report = await soak.run(per_s=20, seconds=8, forgets=False, seed=7, cast=cast)

    assert report.is_good, report.as_table()
    assert report.figures["calls"] == 160
    assert len(HABITS) == sum(habit in report.figures for habit in _names())


def _names() -> list[str]:
    return [habit.__name__.strip("_") for habit in HABITS]
