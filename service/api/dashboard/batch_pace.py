"""How fast a batch goes: a curve from a few of the lines that ended, not from all."""

import asyncio
import itertools
from collections.abc import Sequence
from typing import NamedTuple

from service.api.context import Front
from service.batches import Batch, line_job_id
from service.core.errors import JobDeleted, JobNotFound
from service.core.jobs import Job

_SAMPLES = 48
_BINS = 32
_LATEST = 24
_RECENT = 4
_LEAST_S = 2.0


class Point(NamedTuple):
    """So many lines had ended by then (seconds since 1970)."""

    ended: int
    at_s: float


class Curve(NamedTuple):
    """Images each second, over the life of a batch.

    Attributes:
        times: Seconds since 1970, evenly spread.
        rates: Images each second until then, from the time before.
    """

    times: Sequence[float]
    rates: Sequence[float]

    @property
    def now(self) -> float:
        """How fast it went at the end of the curve."""
        last = self.rates[-_RECENT:]
        return sum(last) / len(last) if last else 0.0


def over_of(batch: Batch) -> int:
    """Return how many lines have ended one by one."""
    ended = batch.completed + batch.failed + batch.canceled + batch.expired
    return max(0, ended - len(batch.never_begun))


async def curve_of(front: Front, batch: Batch) -> Curve:
    """Return the curve of a batch; empty before two lines have ended.

    Raises:
        QueueUnavailable: Redis is away.
    """
    over = over_of(batch)
    if batch.in_progress_at is None or over < _RECENT:
        return Curve((), ())
    step = max(1, over // _SAMPLES)
    places = [*range(0, over, step), over - 1]
    jobs = await _jobs_at(front, batch, places)
    points = [
        Point(place + 1, job.completed_at.timestamp())
        for place, job in zip(places, jobs, strict=False)
        if job is not None and job.completed_at is not None
    ]
    images = batch.images / over
    return drawn(points, begun_s=batch.in_progress_at.timestamp(), images=images)


def drawn(points: Sequence[Point], *, begun_s: float, images: float) -> Curve:
    """Return the rates between a beginning and the last point, evenly spread.

    Args:
        points: By time.
        begun_s: Nothing had ended by then.
        images: That a line brings.
    """
    known = [Point(0, begun_s), *points]
    end_s = max(point.at_s for point in known)
    if end_s - begun_s < _LEAST_S:
        return Curve((), ())
    bins = max(2, min(_BINS, int(end_s - begun_s)))
    step_s = (end_s - begun_s) / bins
    times = [begun_s + step_s * number for number in range(1, bins + 1)]
    counts = [_at(known, at_s) for at_s in (begun_s, *times)]
    rates = [
        round(max(0.0, later - sooner) * images / step_s, 3)
        for sooner, later in itertools.pairwise(counts)
    ]
    return Curve([round(at_s, 3) for at_s in times], rates)


def _at(points: Sequence[Point], at_s: float) -> float:
    """Return how many had ended, on the straight line between two points."""
    before = points[0]
    for point in points[1:]:
        if point.at_s >= at_s:
            span_s = point.at_s - before.at_s
            share = 1.0 if span_s <= 0 else (at_s - before.at_s) / span_s
            return before.ended + share * (point.ended - before.ended)
        if point.at_s >= before.at_s:
            before = point
    return before.ended


async def latest_of(front: Front, batch: Batch) -> list[Job]:
    """Return those jobs that ended last and drew something, the newest first."""
    over = over_of(batch)
    places = range(over - 1, max(-1, over - 1 - 2 * _LATEST), -1)
    jobs = await _jobs_at(front, batch, list(places))
    return [job for job in jobs if job is not None and job.images][:_LATEST]


async def _jobs_at(
    front: Front, batch: Batch, places: Sequence[int]
) -> list[Job | None]:
    lines = await front.backends.batches.ended(batch, places)
    return await asyncio.gather(*(job_at(front, batch, line) for line in lines))


async def job_at(front: Front, batch: Batch, line: int) -> Job | None:
    """Return the job of a line; None: there is none, or none any more."""
    job_id = line_job_id(batch.id, line)
    try:
        return await front.backends.jobs.get(job_id, account=batch.account)
    except (JobNotFound, JobDeleted):
        return None
