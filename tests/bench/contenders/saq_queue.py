"""SAQ, which packs with orjson and keeps no results."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson
from saq import Worker
from saq.queue.redis import RedisQueue

from tests.bench.contenders._queue import SLOTS, Job, Request, Submit, run


def queue_at(url: str) -> RedisQueue:
    return RedisQueue.from_url(
        url, dump=orjson.dumps, load=orjson.loads, max_concurrent_ops=SLOTS
    )


@asynccontextmanager
async def submitting(url: str) -> AsyncIterator[Submit]:
    queue = queue_at(url)
    yield lambda request: queue.enqueue("generate", request=request, ttl=-1)
    await queue.disconnect()


async def work(url: str, job: Job) -> None:
    async def generate(ctx: dict[str, Any], *, request: Request) -> None:
        job(request)

    worker = Worker(
        queue_at(url), functions=[("generate", generate)], concurrency=SLOTS
    )
    await worker.start()


if __name__ == "__main__":
    run(submitting, work)
