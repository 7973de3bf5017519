"""What an ended batch left undone: its sound lines that made no image, in order."""

import asyncio
from collections.abc import AsyncIterator

from service.batches import Batch, Batches, line_job_id
from service.core.errors import JobDeleted, JobNotFound
from service.core.jobs import Job, JobState
from service.files import Line
from service.intake.lines import LineReader
from service.job_store import JobStore

_PAGE = 100
NEVER_BEGUN = "never_begun"
"""Said of lines that were called off, or had no time, before a job was made of them."""


def code_of(job: Job) -> str:
    """Return why a job that is final made no image, in a word."""
    if job.state is JobState.FAILED and job.error is not None:
        return str(job.error["code"])
    return job.state.value


async def failed_lines(
    batches: Batches,
    jobs: JobStore,
    reader: LineReader,
    batch: Batch,
    *,
    code: str | None = None,
) -> AsyncIterator[Line]:
    """Yield the lines of a batch that are worth another try, numbered from 1.

    A line whose job was deleted is not: nobody knows any more what it came to.

    Args:
        batches: Hold the lines.
        jobs: Hold what became of them.
        reader: Knows how lines are written.
        batch: Which has ended.
        code: Only those of this `code_of`; None: all.

    Raises:
        Unavailable: Redis or the store is away.
    """
    never_begun, number = batch.never_begun, 0
    for first in range(0, batch.total, _PAGE):
        page = range(first, min(first + _PAGE, batch.total))
        # Of those that never began at most a window has jobs: see `never_begun`.
        asked = [n for n in page if n not in never_begun[batch.window :]]
        found = await asyncio.gather(*(_job(jobs, batch, line) for line in asked))
        made = {n: job for n, job in zip(asked, found, strict=True) if job is not None}
        unfit = await batches.bad(batch, [n for n in asked if n not in made])
        stored = await batches.lines(batch, page)
        for line in page:
            failed = None
            if line in made:
                if made[line].state is not JobState.SUCCEEDED:
                    failed = code_of(made[line])
            elif line in unfit:
                failed = unfit[line]["code"]
            elif line in never_begun:
                failed = NEVER_BEGUN
            custom_id, body = stored[line].custom_id, stored[line].body
            if failed is not None and code in {None, failed} and body is not None:
                number += 1
                data = reader.write(custom_id, body, endpoint=batch.endpoint)
                yield Line(number, data)


async def _job(jobs: JobStore, batch: Batch, line: int) -> Job | None:
    try:
        return await jobs.get(line_job_id(batch.id, line), account=batch.account)
    except (JobNotFound, JobDeleted):
        return None
