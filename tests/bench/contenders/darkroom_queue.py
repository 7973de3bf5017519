"""Ours: record, lease, fence, commit and events, as a worker process runs them."""

import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import structlog
from arq.connections import ArqRedis
from redis.asyncio import Redis

from service.core.jobs import Attempt, JobState, StoredImage, new_job_id
from service.core.requests import GenerationRequest, Priority
from service.job_store import JobStore
from service.job_store.lease import Lease
from service.job_store.leases import Leases
from service.job_store.outcomes import Outcome
from service.job_store.pool import redis_pool
from service.job_store.records import NewJob
from tests.bench.contenders._queue import SLOTS, Job, Request, Submit, run
from workers.engine import LeaseWorker

_TIMEOUT_S = 5.0
_PLENTY = 10**9
_SHA256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"


@asynccontextmanager
async def storing(url: str) -> AsyncIterator[Callable[[NewJob], Awaitable[object]]]:
    redis = Redis(connection_pool=redis_pool(url, timeout_s=_TIMEOUT_S))
    jobs = JobStore(redis, backlog=_PLENTY)
    yield jobs.submit
    await jobs.aclose()
    await redis.aclose(close_connection_pool=True)


@asynccontextmanager
async def submitting(url: str) -> AsyncIterator[Submit]:
    async with storing(url) as submit:
        yield lambda request: submit(new_job(request))


def new_job(request: Request, account: str = "default") -> NewJob:
    return NewJob(
        id=new_job_id(),
        account=account,
        key_id=f"key_{account}",
        priority=Priority.NORMAL,
        request=GenerationRequest(**request),
        units=5000,
        quota=_PLENTY * 5000,
        most_queued=_PLENTY,
    )


async def work(url: str, job: Job) -> None:
    async def generate(ctx: dict[str, Any], lease: Lease) -> Outcome:
        started_at = datetime.now(UTC)
        job({"extra": lease.request.extra})
        return outcome(lease, started_at)

    redis, name = (
        ArqRedis(redis_pool(url, timeout_s=_TIMEOUT_S)),
        f"bench-{os.getpid()}",
    )
    worker = LeaseWorker(
        generate,
        name=name,
        redis_pool=redis,
        leases=Leases(redis, worker=name, slots=SLOTS),
        max_jobs=SLOTS,
    )
    await worker.async_run()


def outcome(lease: Lease, started_at: datetime) -> Outcome:
    return Outcome(
        state=JobState.SUCCEEDED,
        attempt=Attempt(provider="test", model="test", started_at=started_at, ms=3),
        images=(
            StoredImage(
                key=f"jobs/{lease.job_id}/{lease.fence}/0",
                sha256=_SHA256,
                width=1024,
                height=1024,
                content_type="image/png",
                size_bytes=100_000,
            ),
        ),
    )


if __name__ == "__main__":
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING)
    )
    run(submitting, work)
