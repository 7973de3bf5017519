"""Files of a batch, which are written out anew by each reading, and their lines.

OpenAI's lines carry what its images API would have answered; native ones carry the
job. What succeeded stands in one file, everything else in the other.
"""

from collections.abc import AsyncIterator, Iterable
from typing import Any, NamedTuple

import orjson

from service.api.batch_lines import JOBS
from service.api.batch_results import DELETED, Result, ending_of, results
from service.api.context import Front
from service.api.problems import problem_of_job
from service.api.rendering import Made, images_body, rendered
from service.batches import Batch
from service.core.errors import JobDeleted, StoreUnavailable
from service.core.jobs import Job, JobState
from service.files import File, FileKind
from service.intake import Accepted

_PIECE_BYTES = 256 * 1024
_LOST = {"code": "deleted", "message": "an image of this line is not in the store"}


async def render(front: Front, file: File) -> AsyncIterator[bytes]:
    """Yield the content of a file of a batch, as it stands now.

    Raises:
        BatchNotFound: The batch is gone.
        Unavailable: Redis or the store is away.
    """
    batch = await front.backends.batches.get(file.batch or "", account=file.account)
    async for found in results(front, batch):
        wanted = [result for result in found if _file_of(result) is file.kind]
        async for piece in pieces_of(front, batch, wanted):
            yield piece.text


class Piece(NamedTuple):
    """The lines of some results, in the words of their batch."""

    results: int
    text: bytes


async def pieces_of(
    front: Front, batch: Batch, found: Iterable[Result]
) -> AsyncIterator[Piece]:
    """Yield the lines of results, as many at a time as memory likes.

    Raises:
        Unavailable: Redis or the store is away.
    """
    count, text = 0, bytearray()
    for result in found:
        text += await _line(front, batch, result)
        count += 1
        if len(text) >= _PIECE_BYTES:
            yield Piece(count, bytes(text))
            count, text = 0, bytearray()
    yield Piece(count, bytes(text))


async def _line(front: Front, batch: Batch, result: Result) -> bytes:
    row = _native if batch.endpoint == JOBS else _openai
    try:
        written = await row(front, batch, result)
    except JobDeleted:
        written = await row(front, batch, result.without_job(DELETED))
    except StoreUnavailable:
        if not await _is_lost(front, result.job):
            raise
        written = await row(front, batch, result.without_job(_LOST))
    return orjson.dumps(written, option=orjson.OPT_APPEND_NEWLINE)


def _file_of(result: Result) -> FileKind:
    job = result.job
    has_images = job is not None and job.state is JobState.SUCCEEDED
    return FileKind.OUTPUT if has_images else FileKind.ERROR


async def _native(front: Front, _: Batch, result: Result) -> dict[str, Any]:
    view, job = None, result.job
    if job is not None:
        view = front.views.job(job)
        if result.wants_bytes and job.images:
            for shown, image in zip(view["result"]["data"], job.images, strict=True):
                shown.update(await rendered(front, job, image, inline=True))
    return {
        "line": result.stored.number,
        "custom_id": result.stored.custom_id,
        "job": view,
        "error": result.error,
    }


async def _openai(front: Front, batch: Batch, result: Result) -> dict[str, Any]:
    response, error, job = None, result.error, result.job
    if job is not None and job.state in {JobState.CANCELED, JobState.EXPIRED}:
        error = ending_of(batch) or _problem(job)
    elif job is not None:
        response = await _response(front, job, inline=result.wants_bytes)
    return {
        "id": f"batch_req_{result.job_id.removeprefix('job_')}",
        "custom_id": result.stored.custom_id,
        "response": response,
        "error": error,
    }


async def _response(front: Front, job: Job, *, inline: bool) -> dict[str, Any]:
    if job.state is JobState.SUCCEEDED:
        made = Made(job, Accepted(job, content="", dropped=()))
        status, body = 200, await images_body(front, made, inline=inline)
    else:
        problem = problem_of_job(job)
        status, body = problem.status, problem.body(job.id)
    return {"status_code": status, "request_id": job.id, "body": body}


def _problem(job: Job) -> dict[str, Any]:
    problem = problem_of_job(job)
    return {"code": problem.code, "message": problem.message}


async def _is_lost(front: Front, job: Job | None) -> bool:
    """Whether an image of the job was looked for and is not in the store."""
    if job is None:
        return False
    return (await front.backends.jobs.get(job.id, account=job.account)).lost
