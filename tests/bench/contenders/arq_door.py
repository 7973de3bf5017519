"""aiohttp before arq, as its documentation has it: no key, no checks, no limits."""

import sys
from collections.abc import AsyncIterator

import orjson
from aiohttp import web
from arq.connections import ArqRedis

from tests.bench.contenders._door import run
from tests.bench.contenders.arq_queue import pool

REDIS = web.AppKey("redis", ArqRedis)


async def redis(app: web.Application) -> AsyncIterator[None]:
    app[REDIS] = await pool(sys.argv[1])
    yield
    await app[REDIS].aclose()


async def accept(request: web.Request) -> web.Response:
    body = orjson.loads(await request.read())
    job = await request.app[REDIS].enqueue_job("generate", body)
    return web.Response(
        body=orjson.dumps({"id": job and job.job_id}),
        status=202,
        content_type="application/json",
    )


if __name__ == "__main__":
    app = web.Application()
    app.cleanup_ctx.append(redis)
    app.router.add_post("/v1/jobs", accept)
    run(app)
