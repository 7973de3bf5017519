"""Somebody lets a stock arq worker loose on our queue.

It takes entries whose payload it does not find for expired, and throws them away;
the sweep puts them back.
"""

import asyncio
import os
import time

from arq.connections import RedisSettings
from redis.asyncio import Redis

from service.job_store import keys
from service.job_store.scripting import script
from tests.chaos.report import Report
from tests.chaos.stage import MODEL, Cast, on_stage

RESTORED_WITHIN_S = 60
_LOOK_S = 0.05


async def generate(ctx: dict[str, object], job_id: str) -> None:
    """Stand in for a task; no entry of ours ever gets as far."""


class StockWorker:
    """What `arq` runs when it is given this class."""

    functions = (generate,)
    queue_name = keys.QUEUE
    redis_settings = RedisSettings.from_dsn(
        os.environ.get("DARKROOM_REDIS_URL", "redis://")
    )


async def run(*, jobs: int, cast: Cast) -> Report:
    """Submit `jobs` while it is at work; then stop it and wait for the sweep."""
    report = Report("stock arq worker on the queue")
    async with on_stage(cast) as stage:
        redis = Redis.from_url(stage.valkey.url)
        audit = script(redis, "audit")
        stock = stage.program("stock", "arq", "tests.chaos.stock_arq.StockWorker")
        stock.start()
        while not await redis.exists(f"{keys.QUEUE}:health-check"):
            await asyncio.sleep(_LOOK_S)
        ids = await asyncio.gather(
            *(
                stage.client.submit(f"entry {n}", name=f"stock-{n}", model=MODEL)
                for n in range(jobs)
            )
        )
        async with asyncio.timeout(30):
            while await redis.zcount(keys.QUEUE, "-inf", "(0"):
                await asyncio.sleep(_LOOK_S)
        thrown_out = await audit([])
        stock.stop()
        stopped_at = time.monotonic()
        async with asyncio.timeout(2 * RESTORED_WITHIN_S):
            while await audit([]) > 0:
                await asyncio.sleep(_LOOK_S)
        restored_s = time.monotonic() - stopped_at
        ends = [await stage.client.final(job_id) for job_id in ids]
        await redis.aclose()
    report.note(workers=cast.workers, slots_each=cast.slots, jobs=jobs)
    report.note(entries_thrown_out=thrown_out, restored_s=restored_s)
    report.expect(that=thrown_out > 0, otherwise="it did no harm")
    report.expect(
        that=restored_s <= RESTORED_WITHIN_S, otherwise="the sweep came too late"
    )
    report.expect_none("lost", [e["id"] for e in ends if e["status"] != "succeeded"])
    return report
