"""A quota under fire: two front doors, two workers, every way a job can end."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from redis.asyncio import Redis

from service.accounts import Accounts, Grant
from service.core.errors import AlreadyFinished, TooMuch
from service.core.jobs import JobState, new_job_id
from service.core.requests import GenerationRequest, Priority
from service.job_store import JobStore, keys
from service.job_store.lease import Lease
from service.job_store.leases import Leases
from service.job_store.outcomes import Outcome
from service.job_store.pool import redis_pool
from service.job_store.records import NewJob
from service.settings import Limits
from tests.fakes.store_jobs import ATTEMPT, DONE, IMAGE

_UNITS = 5_000
_IMAGES = 1_000
_CLIENTS = 50
_QUOTA = _UNITS * _IMAGES


@dataclass
class Scene:
    """Everybody's connections, and what they came to."""

    key_id: str
    dice: random.Random
    doors: list[JobStore]
    delivered: int = 0
    refused: list[TooMuch] = field(default_factory=list)
    settled: asyncio.Event = field(default_factory=asyncio.Event)


async def test_a_quota_is_used_up_to_the_last_image_and_never_beyond(
    redis, shared_valkey
):
    accounts = Accounts(redis, Limits())
    key, _ = await accounts.create(Grant(account="ada", quota_units=_QUOTA))
    async with _connections(shared_valkey.url) as (first, second):
        doors = [JobStore(first), JobStore(second)]
        scene = Scene(key.id, random.Random(3), doors)
        workers = [
            asyncio.create_task(_work(scene, connection, name))
            for connection, name in ((first, "one"), (second, "two"))
        ]
        watch = asyncio.create_task(_watch(redis, scene))
        await asyncio.gather(*(_ask(scene, i) for i in range(_CLIENTS)))
        scene.settled.set()
        most_seen = await watch
        await asyncio.gather(*workers)
        for door in doors:
            await door.aclose()

    today = datetime.now(UTC).date()
    rows = await accounts.usage("ada", today - timedelta(days=1), today)
    balance = await accounts.balance(key)
    assert most_seen <= _QUOTA
    assert (balance.used, balance.reserved, balance.left) == (_QUOTA, 0, 0)
    assert scene.delivered == _IMAGES
    assert sum(row.images for row in rows) == _IMAGES
    assert sum(row.units for row in rows) == balance.used
    assert min(sum(row.failed for row in rows), sum(row.canceled for row in rows)) > 0
    assert len(scene.refused) > _CLIENTS


async def _ask(scene: Scene, number: int) -> None:
    """Ask for two images at a time, then for one, until the quota is used up."""
    door, wanted = scene.doors[number % 2], 2
    while True:
        new = _job(scene.key_id, n=wanted)
        try:
            await door.submit(new)
        except TooMuch as refusal:
            scene.refused.append(refusal)
            if refusal.retry_after > timedelta(seconds=5):  # nothing can come back
                if wanted == 1:
                    return
                wanted = 1
            await asyncio.sleep(0.02)
            continue
        if scene.dice.random() < 0.2:
            await asyncio.sleep(scene.dice.random() * 0.01)
            try:
                await door.cancel(new.id, account="ada")
            except AlreadyFinished:
                continue


async def _work(scene: Scene, redis: Redis, name: str) -> None:
    leases = Leases(redis, worker=name, slots=20)
    while not scene.settled.is_set():
        claimed = (await leases.claim(20, held={})).leases
        await asyncio.gather(*(_end(scene, leases, lease) for lease in claimed))
        await asyncio.sleep(0.001)
    await leases.aclose()


async def _end(scene: Scene, leases: Leases, lease: Lease) -> None:
    asked, chance = lease.request.n, scene.dice.random()
    made = 0 if chance < 0.2 else 1 if chance < 0.4 else asked
    if chance > 0.9:
        await leases.retry(lease, ATTEMPT, wait=timedelta(milliseconds=5))
        return
    await asyncio.sleep(scene.dice.random() * 0.01)
    outcome = replace(DONE, images=(IMAGE,) * made, asked=asked, model="test/test")
    if not made:
        outcome = Outcome(state=JobState.FAILED, attempt=ATTEMPT, error={"code": "x"})
    if await leases.commit(lease, outcome):
        scene.delivered += made


async def _watch(redis: Redis, scene: Scene) -> int:
    """Return the most units that were ever reserved and used at one moment."""
    most, names = 0, ["reserved", f"used:{datetime.now(UTC):%Y-%m}"]
    while not scene.settled.is_set():
        counts = await redis.hmget(keys.use(scene.key_id), names)
        most = max(most, sum(int(count or 0) for count in counts))
        await asyncio.sleep(0)
    return most


@asynccontextmanager
async def _connections(url: str) -> AsyncIterator[tuple[Redis, Redis]]:
    both = [Redis(connection_pool=redis_pool(url, timeout_s=5)) for _ in range(2)]
    yield both[0], both[1]
    for one in both:
        await one.aclose(close_connection_pool=True)


def _job(key_id: str, *, n: int) -> NewJob:
    return NewJob(
        id=new_job_id(),
        account="ada",
        key_id=key_id,
        priority=Priority.NORMAL,
        request=GenerationRequest(model="test/test", prompt="a fox", n=n),
        units=_UNITS * n,
        quota=_QUOTA,
    )
