"""What attempts say of their routes, and what they cost, as the scripts read it."""

from datetime import timedelta
from decimal import Decimal

from service.core.jobs import Attempt
from service.job_store.lease import Lease
from service.job_store.outcomes import Aside, attempt_json
from service.job_store.times import ms

_MICROS = 1_000_000


def told(
    lease: Lease,
    attempt: Attempt,
    word: str,
    *,
    closed: timedelta = timedelta(0),
    aside: Aside | None = None,
) -> str:
    """Return a line for each call that was made, as `hear` in `gates.lua` reads it.

    How long one took says nothing where it looked at what was bought before.
    """
    lines = list[str]()
    if attempt.provider:
        took_ms = None if lease.kept is not None else attempt.ms
        lines.append(_line(attempt, word, took_ms=took_ms, closed=closed))
    if aside is not None:
        beside = aside.attempt
        lines.append(
            _line(beside, aside.report, took_ms=beside.ms, closed=aside.closed)
        )
    return "\n".join(lines)


def aside_json(aside: Aside | None) -> bytes:
    """Return the stored form of what was tried beside an attempt; empty for nothing."""
    return b"" if aside is None else attempt_json(aside.attempt)


def costs(own: tuple[str | None, str | None], aside: Aside | None) -> str:
    """Return what calls cost, as `charge` in `steps.lua` reads it.

    Args:
        own: US dollars as decimal text, and who says so.
        aside: What was tried beside it.
    """
    pairs = [own]
    if aside is not None:
        pairs.append((aside.attempt.cost_usd, aside.attempt.cost_source))
    return "\n".join(
        f"{round(Decimal(usd) * _MICROS)} {source or 'estimated'}"
        for usd, source in pairs
        if usd is not None
    )


def _line(
    attempt: Attempt, word: str, *, took_ms: int | None, closed: timedelta
) -> str:
    pause_ms = max(0, ms(closed))
    route = f"{attempt.provider}/{attempt.model}"
    return f"{word or '-'} {'-' if took_ms is None else took_ms} {pause_ms} {route}"
