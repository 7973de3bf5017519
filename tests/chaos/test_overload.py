"""More than can be done, and callers who take their time: nobody else may feel it."""

import pytest

from tests.chaos import overload, slow_clients
from tests.chaos.stage import Cast

pytestmark = pytest.mark.slow


async def test_ten_times_too_much_is_refused_at_once_and_shared_fairly():
    cast = Cast(workers=1, slots=2, latency_ms=400)

    report = await overload.run(
        seconds=6,
        loud=30,
        others=2,
        most_queued=8,
        times_bare=20,
        in_vain=0.5,
        cast=cast,
    )

    assert report.is_good, report.as_table()
    assert report.figures["asked_per_s"] > 10 * report.figures["capacity_per_s"]


async def test_callers_who_take_their_time_are_not_felt_and_leave_nothing():
    cast = Cast(workers=1, slots=2, latency_ms=50)

    report = await slow_clients.run(each=60, seconds=2, most=10, cast=cast)

    assert report.is_good, report.as_table()
