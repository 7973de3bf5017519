"""The period that quotas count in: a calendar month, UTC."""

from datetime import datetime


def period_of(at: datetime) -> str:
    """Return the period that `at`, in UTC, lies in, as `YYYY-MM`."""
    return f"{at.year:04}-{at.month:02}"


def begin_of(at: datetime) -> datetime:
    """Return the first moment of the period that `at`, in UTC, lies in."""
    return at.replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def end_of(at: datetime) -> datetime:
    """Return the first moment of the period after it."""
    begin = begin_of(at)
    if begin.month == 12:  # noqa: PLR2004 - December
        return begin.replace(year=begin.year + 1, month=1)
    return begin.replace(month=begin.month + 1)
