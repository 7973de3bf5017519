"""A worker without providers: it claims jobs and ends them as it is told."""

import asyncio
import contextlib
import hashlib
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Self

from redis.asyncio import Redis

from service.core.jobs import Attempt, JobState, StoredImage
from service.image_store import ImageStore
from service.job_store import keys
from service.job_store.lease import Lease
from service.job_store.leases import Leases
from service.job_store.outcomes import Outcome
from tests.fakes.pictures import draw

Verdict = Callable[[Lease], Awaitable[Outcome]]


class FakeWorker:
    """Runs every job through `verdict`, which may be exchanged at any time.

    At first each job gets all the images it asked for, tiny ones but real.

    Attributes:
        size: Width and height of the images, in pixels.
        seen: All that was claimed.
    """

    def __init__(self, redis: Redis, images: ImageStore) -> None:
        self._redis, self._images = redis, images
        self._leases = Leases(redis, worker="fake", slots=100)
        self._tasks: set[asyncio.Task[None]] = set()
        self.verdict: Verdict = self.succeed
        self.size = (8, 8)
        self.seen: list[Lease] = []

    async def __aenter__(self) -> Self:
        self._loop = asyncio.create_task(self._run())
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in (self._loop, *self._tasks):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        await self._leases.aclose()

    async def succeed(self, lease: Lease) -> Outcome:
        return await self.make(lease, lease.request.n)

    def hold(self) -> asyncio.Event:
        """Let no job succeed before the event is set."""
        let = asyncio.Event()

        async def succeed(lease: Lease) -> Outcome:
            await let.wait()
            return await self.succeed(lease)

        self.verdict = succeed
        return let

    async def make(self, lease: Lease, count: int, **outcome) -> Outcome:
        """Store `count` images; the job has succeeded."""
        images = [await self._store(lease, index) for index in range(count)]
        return Outcome(
            state=JobState.SUCCEEDED,
            attempt=_attempt("succeeded"),
            images=tuple(images),
            asked=lease.request.n,
            model=lease.request.model,
            **outcome,
        )

    async def _store(self, lease: Lease, index: int) -> StoredImage:
        key = f"jobs/{lease.job_id}/{lease.fence}/{index}"
        width, height = self.size
        data = draw(f"{lease.request.prompt} {index}", width=width, height=height)
        await self._images.put(key, data, content_type="image/png")
        return StoredImage(
            key=key,
            sha256=hashlib.sha256(data).hexdigest(),
            width=width,
            height=height,
            content_type="image/png",
            size_bytes=len(data),
            revised_prompt="as drawn",
        )

    async def _run(self) -> None:
        while True:
            claim = await self._leases.claim(10, held={})
            for lease in claim.leases:
                self.seen.append(lease)
                task = asyncio.create_task(self._end(lease))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
            if not claim.leases:
                await self._redis.blpop([keys.BELL], timeout=1)

    async def _end(self, lease: Lease) -> None:
        await self._leases.commit(lease, await self.verdict(lease))


def failing(code: str) -> Verdict:
    """Every job fails with `code`."""

    async def fail(_: Lease) -> Outcome:
        return Outcome(
            state=JobState.FAILED,
            attempt=_attempt("failed", error_code=code),
            error={"code": code, "message": "it did not work"},
        )

    return fail


async def never(_: Lease) -> Outcome:
    """No job ever ends."""
    await asyncio.Event().wait()
    raise AssertionError


def _attempt(outcome: str, **more) -> Attempt:
    return Attempt(
        provider="fake",
        model="fake-1",
        started_at=datetime.now(UTC),
        ms=1,
        outcome=outcome,
        **more,
    )
