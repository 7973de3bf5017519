"""Months, as quotas count them."""

from datetime import UTC, datetime

import pytest

from service.core.periods import begin_of, end_of, period_of


@pytest.mark.parametrize(
    ("at", "begin", "end"),
    [
        ((2026, 1, 31, 23, 59, 59), (2026, 1, 1), (2026, 2, 1)),
        ((2026, 12, 1), (2026, 12, 1), (2027, 1, 1)),
        ((2028, 2, 29, 12), (2028, 2, 1), (2028, 3, 1)),
    ],
)
def test_period_is_the_calendar_month(at: tuple, begin: tuple, end: tuple):
    moment = datetime(*at, tzinfo=UTC)

    assert begin_of(moment) == datetime(*begin, tzinfo=UTC)
    assert end_of(moment) == datetime(*end, tzinfo=UTC)
    assert period_of(moment) == f"{at[0]}-{at[1]:02}"
