"""taskiq over a Redis stream, which acknowledges as ours does; orjson, no results."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from taskiq.api import run_receiver_task
from taskiq.serializers import ORJSONSerializer
from taskiq_redis import RedisStreamBroker

from tests.bench.contenders._queue import SLOTS, Job, Request, Submit, run


def broker_at(url: str) -> RedisStreamBroker:
    return RedisStreamBroker(url).with_serializer(ORJSONSerializer())


@asynccontextmanager
async def submitting(url: str) -> AsyncIterator[Submit]:
    broker = broker_at(url)

    @broker.task("generate")
    async def generate(request: Request) -> None: ...

    await broker.startup()
    yield generate.kiq
    await broker.shutdown()


async def work(url: str, job: Job) -> None:
    broker = broker_at(url)

    @broker.task("generate")
    async def generate(request: Request) -> None:
        job(request)

    await broker.startup()
    await run_receiver_task(broker, max_async_tasks=SLOTS, validate_params=False)


if __name__ == "__main__":
    run(submitting, work)
