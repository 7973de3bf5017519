"""The primary dies while its replica lags; what was answered for is on the replica.

Without `replicated` all that was answered for meanwhile is lost, which is only noted.
"""

import asyncio
import contextlib
import random

from redis.asyncio import Redis

from service.core.errors import QueueUnavailable
from service.job_store import JobStore, keys
from service.job_store.pool import redis_pool
from service.job_store.replicated import ReplicatedRedis
from tests.chaos.report import Report
from tests.fakes.engine import new_job
from tests.fakes.sentinels import Pair, replicated

_CALLERS = 16
_BEFORE_S, _STALLED_S = (0.3, 0.8), 0.5


async def run(*, rounds: int, waits: bool, seed: int) -> Report:
    """Fail over so often, with a pair of servers each time."""
    report = Report("failover to a replica that lags" + ("" if waits else ", unwaited"))
    dice, accepted, lost = random.Random(seed), 0, list[str]()
    for _ in range(rounds):
        with replicated(by_link=True) as pair:
            here = await _accepted(pair, waits=waits, life_s=dice.uniform(*_BEFORE_S))
            accepted += len(here)
            lost += await _missing(pair, here)
    report.note(seed=seed, rounds=rounds, callers=_CALLERS, accepted=accepted)
    if waits:
        report.expect_none("lost", lost)
        report.expect(that=accepted > 0, otherwise="nothing was accepted")
    else:
        report.note(lost=len(lost))
    return report


async def _accepted(pair: Pair, *, waits: bool, life_s: float) -> list[str]:
    """Submit until the primary is dead; return what it answered for."""
    kind = ReplicatedRedis if waits else Redis
    redis = kind(connection_pool=redis_pool(pair.primary.url, timeout_s=5))
    store, accepted = JobStore(redis), list[str]()
    callers = [
        asyncio.create_task(_submit_on(store, accepted)) for _ in range(_CALLERS)
    ]
    await asyncio.sleep(life_s)
    pair.link.stall()
    await asyncio.sleep(_STALLED_S)
    pair.primary.kill()
    await asyncio.gather(*callers)
    await store.aclose()
    await redis.aclose(close_connection_pool=True)
    pair.link.close()
    await asyncio.to_thread(pair.promote)
    return accepted


async def _submit_on(store: JobStore, accepted: list[str]) -> None:
    with contextlib.suppress(QueueUnavailable):
        while True:
            accepted.append((await store.submit(new_job())).job_id)


async def _missing(pair: Pair, job_ids: list[str]) -> list[str]:
    async with (
        Redis.from_url(pair.replica.url) as redis,
        redis.pipeline(transaction=False) as pipe,
    ):
        for job_id in job_ids:
            pipe.exists(keys.job(job_id))
        there = await pipe.execute()
    return [i for i, is_there in zip(job_ids, there, strict=True) if not is_there]
