"""What a process holds open, opened and closed in one place."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

from redis.asyncio import Redis

from service.accounts import Accounts
from service.batches import Batches
from service.files import Files
from service.image_store import ImageStore
from service.image_store.opening import open_image_store
from service.job_store import JobStore
from service.job_store.pool import redis_pool
from service.job_store.replicated import lasting_redis
from service.settings import Settings


@dataclass(frozen=True, slots=True)
class Backends:
    """The front door's connections, all shared by every request."""

    redis: Redis
    jobs: JobStore
    accounts: Accounts
    images: ImageStore
    files: Files
    batches: Batches


@asynccontextmanager
async def open_backends(settings: Settings) -> AsyncIterator[Backends]:
    """Open, yield, and close whatever was opened, in reverse.

    Nothing is asked of Redis or the store yet: a front door that starts while they
    are away waits, red in `/readyz`, for them to come.
    """
    async with AsyncExitStack() as stack:
        pool = redis_pool(settings.redis_url, timeout_s=2.5)
        redis = lasting_redis(pool, durability=settings.durability)
        stack.push_async_callback(redis.aclose)
        jobs = JobStore(
            redis,
            backlog=settings.limits.backlog,
            retention=timedelta(seconds=settings.retention_s),
            idempotency=timedelta(seconds=settings.idempotency_s),
        )
        stack.push_async_callback(jobs.aclose)
        images = open_image_store(settings)
        stack.push_async_callback(images.close)
        yield Backends(
            redis,
            jobs,
            Accounts(redis, settings.limits),
            images,
            Files(redis, images, idempotency=timedelta(seconds=settings.idempotency_s)),
            Batches(
                redis,
                images,
                window=settings.limits.batch_window,
                retention=timedelta(seconds=settings.retention_s),
                idempotency=timedelta(seconds=settings.idempotency_s),
            ),
        )
