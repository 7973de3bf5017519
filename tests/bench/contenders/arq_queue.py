"""arq, tuned: it polls every 10 ms, packs with orjson and keeps no results."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson
from arq.connections import ArqRedis, RedisSettings, create_pool
from arq.worker import Worker, func

from tests.bench.contenders._queue import SLOTS, Job, Request, Submit, run


async def pool(url: str) -> ArqRedis:
    return await create_pool(
        RedisSettings(unix_socket_path=url.removeprefix("unix://")),
        job_serializer=orjson.dumps,
        job_deserializer=orjson.loads,
    )


@asynccontextmanager
async def submitting(url: str) -> AsyncIterator[Submit]:
    redis = await pool(url)
    yield lambda request: redis.enqueue_job("generate", request)
    await redis.aclose()


async def work(url: str, job: Job) -> None:
    async def generate(ctx: dict[str, Any], request: Request) -> None:
        job(request)

    worker = Worker(
        [func(generate, name="generate")],
        redis_pool=await pool(url),
        max_jobs=SLOTS,
        poll_delay=0.01,
        keep_result=0,
        job_serializer=orjson.dumps,
        job_deserializer=orjson.loads,
    )
    await worker.async_run()


if __name__ == "__main__":
    run(submitting, work)
