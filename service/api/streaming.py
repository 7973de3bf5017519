"""Images as they come: unfinished ones, then each finished one, as events.

The headers leave as soon as the job is accepted; what goes wrong behind them is told
in an event `error`, which SDKs raise. Redis may go away meanwhile: comments keep the
connection, and the wait goes on.
"""

import asyncio
import functools
import time
from typing import Any, NamedTuple

import structlog
from aiohttp import web

from service.api.context import FRONT, TRACE, Front
from service.api.events import EventStream, HungUp
from service.api.problems import (
    INTERNAL,
    Problem,
    problem_of,
    problem_of_job,
    still_running,
)
from service.api.rendering import base64_of, billed, check_present, rendered, usage
from service.api.views import warnings
from service.core.errors import QueueUnavailable, ServiceError, StoreUnavailable
from service.core.jobs import Job, JobState
from service.core.requests import GenerationRequest
from service.intake import Accepted
from service.job_store.records import NewJob
from service.partials import Mailbox, Partial, partial_key

log = structlog.get_logger()

_PAUSE_S = 1.0


class Streamed(NamedTuple):
    """An answer that has been sent.

    Attributes:
        job: Final, and the caller was told to the end; None: he was not.
    """

    response: web.StreamResponse
    job: Job | None


async def stream_images(
    request: web.Request,
    accepted: Accepted,
    *,
    inline: bool,
    most_s: float,
) -> Streamed:
    """Answer with events until the job is final, or for `most_s` seconds.

    Args:
        request: Whose answer it is.
        accepted: The job that answers.
        inline: Finished images as base64, not as links; unfinished ones always are.
        most_s: How long both sides have patience.
    """
    call = _Call(request, accepted, inline=inline)
    try:
        await call.stream.begin()
        told = await _tell(call, end=time.monotonic() + most_s)
        await call.stream.end()
    except HungUp:
        log.info("stream.abandoned", job_id=accepted.job.id)
        told = None
    return Streamed(call.stream.response, told)


async def _tell(call: "_Call", *, end: float) -> Job | None:
    """Send everything; return the job where it became final."""
    try:
        job = await call.until_final(end=end)
        if not job.state.is_final:
            await call.fail(still_running(job))
            return None
        if job.state is not JobState.SUCCEEDED:
            await call.fail(problem_of_job(job))
        else:
            await call.finish(job)
    except (HungUp, asyncio.CancelledError):
        raise
    except Exception as exc:  # no status tells of it any more: an event must
        problem = problem_of(exc) if isinstance(exc, ServiceError) else None
        if problem is None:
            log.exception("request.crashed", job_id=call.job_id)
        await call.fail(problem or INTERNAL)
        return None
    return job


class _Call:
    """One caller and the job that answers him."""

    def __init__(
        self, request: web.Request, accepted: Accepted, *, inline: bool
    ) -> None:
        self._front, self._trace = request.app[FRONT], request[TRACE]
        self._accepted, self._inline = accepted, inline
        self.job_id = accepted.job.id
        edits = accepted.job.request.operation != "generate"
        self._family = "image_edit" if edits else "image_generation"
        self._shown = 0
        self._mailbox = Mailbox()
        self.stream = EventStream(request, hung_up=self._look)

    async def until_final(self, *, end: float) -> Job:
        """Return the job when it is final or time is up; show what is not finished.

        Raises:
            HungUp: The caller went away.
            ServiceError: The job cannot be read.
        """
        waiting = asyncio.create_task(_final(self._front, self._accepted.job, end))
        waiting.add_done_callback(lambda _: self._look())
        try:
            with self._front.partials.delivered_to(self._mailbox, self.job_id):
                while not waiting.done() or not self._mailbox.empty():
                    await self._next()
        finally:
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
        return waiting.result()

    async def finish(self, job: Job) -> None:
        """Send all images of a job that succeeded.

        Raises:
            HungUp: The caller went away.
            ServiceError: They cannot be had.
        """
        check_present(job)
        last = len(job.images) - 1
        for place, image in enumerate(job.images):
            event = await rendered(self._front, image, inline=self._inline)
            at = job.completed_at or job.created_at
            event |= _about(job.request, int(at.timestamp())) | {"usage": None}
            if place == last:
                event |= self._closing(job)
            await self.stream.send(f"{self._family}.completed", event)

    async def fail(self, problem: Problem) -> None:
        """Send what SDKs raise.

        Raises:
            HungUp: The caller went away.
        """
        if self._trace.reworded is not None:
            problem = self._trace.reworded(problem)
        self._trace.code = problem.code
        await self.stream.send("error", problem.body(self._trace.request_id))

    def _look(self) -> None:
        self._mailbox.put_nowait(None)

    async def _next(self) -> None:
        """Wait for something to happen, and say so if nothing does."""
        try:
            async with asyncio.timeout(self._front.settings.heartbeat_s):
                partial = await self._mailbox.get()
        except TimeoutError:
            await self.stream.comment("not yet")
            return
        if self.stream.is_cut:
            raise HungUp
        if partial is not None:
            await self._show(partial)

    async def _show(self, partial: Partial) -> None:
        for index in range(self._shown, partial.number + 1):
            data = await self._unfinished(partial._replace(number=index))
            if data is None:
                continue
            self._shown = index + 1
            about = _about(self._accepted.job.request, int(time.time()))
            event = {
                "b64_json": base64_of(data),
                "partial_image_index": index,
                **about,
            }
            await self.stream.send(f"{self._family}.partial_image", event)

    async def _unfinished(self, partial: Partial) -> bytes | None:
        """Return its bytes; None: it went, or the store did; a better one comes."""
        try:
            async with asyncio.timeout(self._front.settings.heartbeat_s):
                return await self._front.backends.images.get(
                    partial_key(self.job_id, partial)
                )
        except (StoreUnavailable, TimeoutError):
            return None

    def _closing(self, job: Job) -> dict[str, Any]:
        """Return what is told of all images together, with the last of them."""
        told = {"usage": usage(job)} | billed(self._front, job, by_dialect=False)
        notes: list[dict[str, Any]] = list(warnings(self._accepted.dropped))
        if job.error is not None:  # under the name `error` an SDK would raise it
            notes.append({"param": None, **job.error})
        return told | ({"warnings": notes} if notes else {})


async def _final(front: Front, accepted: NewJob | Job, end: float) -> Job:
    """Return the job when it is final, or as it stands at the end.

    A front door that drains leaves it as long as any other call.
    """
    wait = functools.partial(front.waiters.wait, accepted.id, account=accepted.account)
    while True:
        try:
            left_s = end - time.monotonic()
            job = await wait(most_s=left_s)
            if job.state.is_final:
                return job
            left_s = min(end - time.monotonic(), front.settings.sync_wait_s)
            return await wait(most_s=left_s, through_drain=True)
        except QueueUnavailable:
            if time.monotonic() > end:
                raise
        await asyncio.sleep(_PAUSE_S)


def _about(request: GenerationRequest, created_at: int) -> dict[str, Any]:
    return {
        "created_at": created_at,
        "size": request.size,
        "quality": request.quality or "auto",
        "background": request.background or "auto",
        "output_format": request.output_format,
    }
