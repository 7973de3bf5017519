"""Ours: deliveries as jobs leave them behind, and a worker that sends them.

fill URL RECEIVER JOBS    end jobs, each told to all endpoints of an account
work URL FOLDER           deliver until killed
"""

import asyncio
import logging
import signal
import sys
from pathlib import Path

import structlog
import uvloop
from redis.asyncio import Redis

from service.job_store import JobStore
from service.job_store.pool import redis_pool
from service.settings import Settings
from service.webhooks import Endpoints
from tests.bench.contenders._queue import REQUEST
from tests.bench.contenders.darkroom_queue import new_job
from workers.deliverer import make_deliverer

ENDPOINTS = 5
_ABREAST = 100


async def fill(url: str, receiver: str, jobs: int) -> None:
    """Leave `jobs` times `ENDPOINTS` deliveries behind."""
    redis = Redis(connection_pool=redis_pool(url, timeout_s=5))
    store, endpoints = JobStore(redis), Endpoints(redis, most=ENDPOINTS)
    for number in range(ENDPOINTS):
        await endpoints.create(
            "default",
            url=f"{receiver}/{number}",
            events=("*",),
            description="",
            secret=None,
        )
    gate = asyncio.Semaphore(_ABREAST)

    async def end() -> None:
        async with gate:
            new = new_job(REQUEST)
            await store.submit(new)
            await store.cancel(new.id, account="default")

    await asyncio.gather(*(end() for _ in range(jobs)))
    await store.aclose()
    await redis.aclose(close_connection_pool=True)


async def work(url: str, folder: str) -> None:
    """Deliver until told to stop."""
    settings = Settings(
        redis_url=url,
        data_dir=Path(folder),
        outbound={"allowed_networks": ["127.0.0.0/8"], "allow_http": True},
        webhooks={"host_per_minute": 0, "max_in_flight": 100},
    )
    async with make_deliverer(settings, name="bench") as worker:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(
            signal.SIGTERM, worker.handle_sig, signal.Signals.SIGTERM
        )
        await worker.async_run()


if __name__ == "__main__":
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING)
    )
    command, url, *rest = sys.argv[1:]
    if command == "fill":
        uvloop.run(fill(url, rest[0], int(rest[1])))
    else:
        uvloop.run(work(url, rest[0]))
