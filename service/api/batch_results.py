"""What became of the lines of a batch, in the order in which they ended.

Nothing of it is kept: a result is the record of its job, whose URLs are signed as it
is read. Lines that never began come last, once the batch has ended.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any, NamedTuple

from service.api.batch_lines import wants_bytes
from service.api.context import Front
from service.batches import Batch, BatchState, StoredLine, line_job_id
from service.core.errors import JobDeleted, JobNotFound
from service.core.jobs import Job, JobId

DELETED: Mapping[str, Any] = {
    "code": "deleted",
    "message": "the job of this line was deleted",
}
_CANCELED: Mapping[str, Any] = {
    "code": "batch_cancelled",
    "message": "the batch was canceled before this line began",
}
_EXPIRED: Mapping[str, Any] = {
    "code": "batch_expired",
    "message": "the batch expired before this line began",
}
_ENDINGS = {
    BatchState.CANCELLING: _CANCELED,
    BatchState.CANCELLED: _CANCELED,
    BatchState.EXPIRING: _EXPIRED,
    BatchState.EXPIRED: _EXPIRED,
}
_PAGE = 100


class Result(NamedTuple):
    """What became of one line.

    Attributes:
        job_id: Of the job that it became, or would have.
        stored: What it says.
        job: That job, which is final; None where `error` says why there is none.
    """

    job_id: JobId
    stored: StoredLine
    job: Job | None
    error: Mapping[str, Any] | None

    @property
    def wants_bytes(self) -> bool:
        """Whether the images are to stand in the result."""
        return self.stored.body is not None and wants_bytes(self.stored.body)

    def without_job(self, error: Mapping[str, Any]) -> "Result":
        """Return it as that of a line of which no job is left to tell."""
        return self._replace(job=None, error=error)


def ending_of(batch: Batch) -> Mapping[str, Any] | None:
    """Return why lines of the batch did not begin; None: it was not called off."""
    return _ENDINGS.get(batch.state)


async def results(
    front: Front, batch: Batch, *, after: int = 0
) -> AsyncIterator[list[Result]]:
    """Yield the results behind the first `after`, some at a time, as they stand now.

    Raises:
        Unavailable: Redis or the store is away.
    """
    batches = front.backends.batches
    while lines := await batches.done(batch, after=after, limit=_PAGE):
        found = await asyncio.gather(*(_job(front, batch, line) for line in lines))
        jobs = dict(zip(lines, found, strict=True))
        bad = await batches.bad(batch, [n for n, job in jobs.items() if job is None])
        stored = await batches.lines(batch, lines)
        yield [
            Result(
                line_job_id(batch.id, line),
                stored[line],
                jobs[line],
                None if jobs[line] else bad.get(line) or _fault(batch, line, stored),
            )
            for line in lines
        ]
        after += len(lines)


def _fault(
    batch: Batch, line: int, stored: Mapping[int, StoredLine]
) -> Mapping[str, Any]:
    """Return why no job was made of a line, or none is left."""
    never = ending_of(batch) if line in batch.never_begun else None
    return stored[line].error or never or DELETED


async def _job(front: Front, batch: Batch, line: int) -> Job | None:
    if line in batch.never_begun[batch.window :]:
        return None  # nobody came so far
    job_id = line_job_id(batch.id, line)
    try:
        return await front.backends.jobs.get(job_id, account=batch.account)
    except (JobNotFound, JobDeleted):
        return None
