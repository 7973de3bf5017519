"""Callers that wait for jobs to become final, all on one subscription.

The record decides, the publish only says when to look: a lost one costs its waiter
a second, because everybody who waits looks again by himself that often.
"""

import asyncio
import contextlib
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Self

from redis.asyncio import Redis

from service.core.errors import QueueUnavailable
from service.core.jobs import Job
from service.job_store import JobStore, keys
from service.job_store.listening import end, messages

_LOOK_AGAIN_S = 1.0


class Waiters:
    """Wakes whoever waits for a job; one per process.

    Use as a context manager; leaving it stops listening.
    """

    def __init__(self, redis: Redis, jobs: JobStore) -> None:
        self._redis, self._jobs = redis, jobs
        self._waiting: defaultdict[str, set[asyncio.Event]] = defaultdict(set)
        self._listener: asyncio.Task[None] | None = None
        self._draining = False
        self.pace = Pace()

    async def __aenter__(self) -> Self:
        self._listener = asyncio.create_task(self._listen())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._listener is not None:
            await end([self._listener])

    @property
    def count(self) -> int:
        """How many callers wait."""
        return sum(map(len, self._waiting.values()))

    def drain(self) -> None:
        """Let go of whoever can as well ask somebody else."""
        self._draining = True
        for waiting in self._waiting.values():
            for told in waiting:
                told.set()

    async def wait(
        self, job_id: str, *, account: str, most_s: float, through_drain: bool = False
    ) -> Job:
        """Return the job as soon as it is final, or as it stands after `most_s`.

        Redis may go away meanwhile: the wait goes on, and ends with what was seen
        last. The process's end breaks it off, too, unless it goes `through_drain`.

        Raises:
            JobNotFound: Never made, or somebody else's.
            JobDeleted: It is gone, perhaps since the wait began.
            QueueUnavailable: It could not be read even once.
        """
        end = time.monotonic() + most_s
        told = asyncio.Event()
        self._waiting[job_id].add(told)
        try:
            job = await self._jobs.get(job_id, account=account)
            while not job.state.is_final and (left := end - time.monotonic()) > 0:
                if self._draining and not through_drain:
                    break
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(min(left, _LOOK_AGAIN_S)):
                        await told.wait()
                told.clear()
                job = await self._look_again(job, end)
        finally:
            waiting = self._waiting[job_id]
            waiting.discard(told)
            if not waiting:
                del self._waiting[job_id]
        return job

    async def _look_again(self, job: Job, end: float) -> Job:
        left = max(_LOOK_AGAIN_S / 10, end - time.monotonic())
        try:
            async with asyncio.timeout(left):
                return await self._jobs.get(job.id, account=job.account)
        except (QueueUnavailable, TimeoutError):
            return job

    async def _listen(self) -> None:
        async for message in messages(self._redis, keys.FINALS):
            for line in message.decode().splitlines():
                self.pace.count()
                for told in self._waiting.get(line.partition(" ")[0], ()):
                    told.set()


class Pace:
    """How many jobs become final per second, over about the last minute.

    Args:
        clock: Tells monotonic seconds.
    """

    _HALF_LIFE_S = 30.0

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._weight, self._begun = 0.0, clock()
        self._at = self._begun

    def count(self) -> None:
        """Take in one final job."""
        self._weight = self._weighed() + 1

    def eta_s(self, position: int) -> int | None:
        """Whole seconds until `position` jobs are through; None: nobody can tell."""
        weight = self._weighed()
        # Of a minute that has only begun there is no more than this part to go by.
        seen = 1 - self._left(self._at - self._begun)
        per_second = weight * 0.6931 / self._HALF_LIFE_S / max(seen, 0.01)
        # Less than one job in the half-life says nothing about the next.
        if self._weight < 1:
            return None
        return max(1, round(position / per_second))

    def _weighed(self) -> float:
        now = self._clock()
        elapsed, self._at = now - self._at, now
        self._weight *= self._left(elapsed)
        return self._weight

    def _left(self, elapsed_s: float) -> float:
        """Return what part of its weight a job has after so long."""
        return float(0.5 ** (elapsed_s / self._HALF_LIFE_S))
