"""A job's life as bars on one scale: waits, attempts by provider, store, deliveries."""

from collections.abc import Iterator
from typing import NamedTuple

from service.core.jobs import Attempt, Job, JobState

_KINDS = {
    "succeeded": "succeeded",
    "failed": "failed",
    "interrupted": "failed",
    "canceled": "canceled",
}
_LEAST_S = 0.05
"""Less is no bar that anybody sees."""


class Bar(NamedTuple):
    """One stretch of time.

    Attributes:
        kind: The state whose color it has; `queued` for a wait.
        label: What happened.
        note: How it ended.
        start_s: Since the job was made.
        end_s: Likewise.
    """

    kind: str
    label: str
    note: str
    start_s: float
    end_s: float


class Timeline(NamedTuple):
    """All bars, and how long the scale is."""

    bars: tuple[Bar, ...]
    whole_s: float


def timeline_of(job: Job, *, now_s: float) -> Timeline:
    """Return the job's bars, in order; what is under way ends now.

    Args:
        job: As it stands.
        now_s: Seconds since 1970.
    """
    begun_s = job.created_at.timestamp()
    until_s = now_s if job.completed_at is None else job.completed_at.timestamp()
    tried = sorted(_attempts(job, begun_s, until_s), key=lambda bar: bar.start_s)
    bars = [*_with_waits(tried, until_s - begun_s, job)]
    whole = max([until_s - begun_s, *(bar.end_s for bar in bars), _LEAST_S])
    return Timeline(tuple(bars), whole)


def _attempts(job: Job, begun_s: float, until_s: float) -> Iterator[Bar]:
    for attempt in job.trail:
        if attempt.started_at is None:
            continue
        start_s = attempt.started_at.timestamp() - begun_s
        end_s = until_s - begun_s
        if attempt.ms is not None:
            end_s = start_s + attempt.ms / 1000
        yield Bar(
            _KINDS.get(attempt.outcome, "running"),
            _route(attempt),
            attempt.error_code or attempt.outcome,
            start_s,
            max(end_s, start_s),
        )
    if job.state is JobState.RUNNING:
        ends = [
            a.started_at.timestamp() + (a.ms or 0) / 1000
            for a in job.trail
            if a.started_at is not None
        ]
        since_s = max(ends, default=(job.started_at or job.created_at).timestamp())
        yield Bar("running", "In work", "", since_s - begun_s, until_s - begun_s)


def _with_waits(tried: list[Bar], end_s: float, job: Job) -> Iterator[Bar]:
    first = tried[0].start_s if tried else end_s
    if first > _LEAST_S or not tried:
        yield Bar("queued", "Waited in the queue", "", 0.0, max(first, 0.0))
    for number, bar in enumerate(tried):
        yield bar
        following = tried[number + 1].start_s if number + 1 < len(tried) else 0.0
        if following - bar.end_s > _LEAST_S:
            yield Bar("queued", "Waited for its turn", "", bar.end_s, following)
    if tried and end_s - tried[-1].end_s > _LEAST_S and job.state.is_final:
        is_made = job.state is JobState.SUCCEEDED
        label = "Checked and stored" if is_made else "Written down"
        yield Bar("accent", label, "", tried[-1].end_s, end_s)


def _route(attempt: Attempt) -> str:
    return f"{attempt.provider}/{attempt.model}" if attempt.provider else "A worker"
