"""Images as they come: unfinished ones, then each finished one, as events.

The headers leave with the first thing there is to tell, or the first heartbeat: a job
that fails before has a status of its own. What goes wrong behind them is told in an
event `error`, which SDKs raise. Redis may go away meanwhile: comments keep the
connection, and the wait goes on.
"""

import asyncio
import functools
import time
from collections.abc import AsyncIterator
from typing import Any, NamedTuple, Protocol

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
from service.core.errors import QueueUnavailable, ServiceError, StoreUnavailable
from service.core.jobs import Job, JobState
from service.intake import Accepted
from service.job_store.records import NewJob
from service.partials import Mailbox, Partial, partial_key

log = structlog.get_logger()

_PAUSE_S = 1.0


class Words(Protocol):
    """What a dialect calls the things that a stream tells, as events to be sent."""

    def begun(self) -> bytes:
        """Return what stands before everything else; empty: nothing."""
        ...

    def unfinished(self, data: bytes, index: int) -> bytes:
        """Return an image on its way, `index` from 0 on."""
        ...

    def finished(self, job: Job) -> AsyncIterator[bytes]:
        """Yield all images of a job that succeeded, and what stands behind them.

        May raise a ServiceError: they cannot be had.
        """
        ...

    def failed(self, body: dict[str, Any]) -> bytes:
        """Return what SDKs raise.

        Args:
            body: The envelope.
        """
        ...


class Streamed(NamedTuple):
    """An answer that has been sent, or a problem in its place.

    Attributes:
        job: Final, and the caller was told to the end; None: he was not.
        problem: Nothing has been sent, so that a status can tell what went wrong.
    """

    response: web.StreamResponse
    job: Job | None
    problem: Problem | None


async def stream_images(
    request: web.Request,
    accepted: Accepted,
    *,
    words: Words,
    most_s: float,
) -> Streamed:
    """Answer with events until the job is final, or for `most_s` seconds.

    Args:
        request: Whose answer it is.
        accepted: The job that answers.
        words: What the caller's dialect calls things.
        most_s: How long both sides have patience.
    """
    call = _Call(request, accepted, words)
    try:
        told = await _tell(call, end=time.monotonic() + most_s)
        if call.problem is None:
            await call.stream.end()
    except HungUp:
        log.info("stream.abandoned", job_id=accepted.job.id)
        told = None
    return Streamed(call.stream.response, told, call.problem)


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
    except Exception as exc:  # where no status tells of it any more, an event must
        problem = problem_of(exc) if isinstance(exc, ServiceError) else None
        if problem is None:
            log.exception("request.crashed", job_id=call.job_id)
        await call.fail(problem or INTERNAL)
        return None
    return job


class _Call:
    """One caller and the job that answers him."""

    def __init__(self, request: web.Request, accepted: Accepted, words: Words) -> None:
        self._front, self._trace = request.app[FRONT], request[TRACE]
        self._accepted, self._words = accepted, words
        self.job_id = accepted.job.id
        self.problem: Problem | None = None
        self._has_begun = False
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
        async for event in self._words.finished(job):
            await self._send(event)

    async def fail(self, problem: Problem) -> None:
        """Send what SDKs raise, or note it while a status still can tell it.

        Raises:
            HungUp: The caller went away.
        """
        if not self._has_begun:
            self.problem = problem
            return
        if self._trace.reworded is not None:
            problem = self._trace.reworded(problem)
        self._trace.code = problem.code
        body = problem.body(self._trace.request_id)
        await self._send(self._words.failed(body))

    async def _send(self, event: bytes) -> None:
        await self._begin()
        await self.stream.send(event)

    async def _begin(self) -> None:
        """Send the headers, and whatever stands before all images; once."""
        if not self._has_begun:
            self._has_begun = True
            await self.stream.begin()
            await self.stream.send(self._words.begun())

    def _look(self) -> None:
        self._mailbox.put_nowait(None)

    async def _next(self) -> None:
        """Wait for something to happen, and say so if nothing does."""
        try:
            async with asyncio.timeout(self._front.settings.heartbeat_s):
                partial = await self._mailbox.get()
        except TimeoutError:
            await self._begin()
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
            await self._send(self._words.unfinished(data, index))

    async def _unfinished(self, partial: Partial) -> bytes | None:
        """Return its bytes; None: it went, or the store did; a better one comes."""
        try:
            async with asyncio.timeout(self._front.settings.heartbeat_s):
                return await self._front.backends.images.get(
                    partial_key(self.job_id, partial)
                )
        except (StoreUnavailable, TimeoutError):
            return None


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
