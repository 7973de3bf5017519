"""Why lines of a batch failed, counted by code while somebody looks.

Lines end in an order that never changes, so that each look reads only those behind the
last one; of a long batch some thousand at a time.
"""

import asyncio
from dataclasses import dataclass, field

from service.api.context import Front
from service.api.dashboard.batch_pace import job_at, over_of
from service.batches import Batch
from service.core.jobs import Job, JobState
from service.intake.retrying import NEVER_BEGUN, code_of

_PAGE = 100
_PAGES = 20
_MOST_BATCHES = 200
_WORDS = {
    "canceled": "They were called off.",
    "expired": "They did not start in time.",
    NEVER_BEGUN: "The batch ended before their turn came.",
}


@dataclass(slots=True)
class Group:
    """Lines that failed alike.

    Attributes:
        message: What was said of the first of them.
        job_id: Of the first that became a job; None: none did.
        can_retry: Whether another try could help at all.
    """

    code: str
    message: str
    job_id: str | None = None
    count: int = 0
    can_retry: bool = True


@dataclass(slots=True)
class Tally:
    """What is known of one batch.

    Attributes:
        looked_at: Lines, in the order in which they ended.
    """

    looked_at: int = 0
    groups: dict[str, Group] = field(default_factory=dict)


class Failures:
    """The tallies of those batches that somebody looks at."""

    def __init__(self) -> None:
        self._tallies: dict[str, Tally] = {}

    async def of(self, front: Front, batch: Batch) -> tuple[list[Group], bool]:
        """Return the groups, the largest first, and whether all lines are in them.

        Raises:
            Unavailable: Redis or the store is away.
        """
        tally = self._tallies.pop(batch.id, None) or Tally()
        if len(self._tallies) >= _MOST_BATCHES:
            del self._tallies[next(iter(self._tallies))]
        self._tallies[batch.id] = tally
        over = over_of(batch)
        if over > batch.completed:
            for _ in range(_PAGES):
                if tally.looked_at >= over:
                    break
                await _count(front, batch, tally, most=over)
        groups = [*tally.groups.values()]
        if batch.state.is_final and batch.never_begun:
            count, words = len(batch.never_begun), _WORDS[NEVER_BEGUN]
            groups.append(Group(NEVER_BEGUN, words, count=count))
        groups.sort(key=lambda group: -group.count)
        return groups, tally.looked_at >= over or over == batch.completed


async def _count(front: Front, batch: Batch, tally: Tally, *, most: int) -> None:
    place = tally.looked_at
    page = range(place, min(place + _PAGE, most))
    batches = front.backends.batches
    lines = await batches.ended(batch, page)
    jobs = await asyncio.gather(*(job_at(front, batch, line) for line in lines))
    lost = [line for line, job in zip(lines, jobs, strict=True) if job is None]
    unfit = await batches.bad(batch, lost) if lost else {}
    stored = await batches.lines(batch, lost) if lost else {}
    if tally.looked_at != place:
        return  # somebody else looked meanwhile
    tally.looked_at = page.stop
    for job in jobs:
        if job is not None and job.state is not JobState.SUCCEEDED:
            _add(tally, code_of(job), _said(job), job_id=job.id)
    for line in lost:
        error = stored[line].error or unfit.get(line)
        if error is not None:
            sound = stored[line].error is None
            _add(tally, error["code"], error["message"], can_retry=sound)


def _add(
    tally: Tally,
    code: str,
    message: str,
    *,
    job_id: str | None = None,
    can_retry: bool = True,
) -> None:
    group = tally.groups.get(code)
    if group is None:
        group = Group(code, message, job_id, can_retry=can_retry)
        tally.groups[code] = group
    group.count += 1


def _said(job: Job) -> str:
    if job.state is JobState.FAILED and job.error is not None:
        return str(job.error["message"])
    return _WORDS.get(job.state.value, "")
