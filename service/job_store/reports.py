"""What attempts say of their routes, as `hear` in `gates.lua` reads it."""

from datetime import timedelta

from service.core.jobs import Attempt
from service.job_store.lease import Lease
from service.job_store.records import Aside, attempt_json


def told(
    lease: Lease,
    attempt: Attempt,
    word: str,
    *,
    closed: timedelta = timedelta(0),
    aside: Aside | None = None,
) -> str:
    """Return a line for each call that was made.

    How long one took says nothing where it looked at what was bought before.
    """
    ms = None if lease.kept is not None else attempt.ms
    lines = [_line(attempt, word, ms=ms, closed=closed)] if attempt.provider else []
    if aside is not None:
        beside = aside.attempt
        lines.append(_line(beside, aside.report, ms=beside.ms, closed=aside.closed))
    return "\n".join(lines)


def aside_json(aside: Aside | None) -> bytes:
    """Return the stored form of what was tried beside an attempt; empty for nothing."""
    return b"" if aside is None else attempt_json(aside.attempt)


def _line(attempt: Attempt, word: str, *, ms: int | None, closed: timedelta) -> str:
    pause_ms = max(0, closed // timedelta(milliseconds=1))
    route = f"{attempt.provider}/{attempt.model}"
    return f"{word or '-'} {'-' if ms is None else ms} {pause_ms} {route}"
