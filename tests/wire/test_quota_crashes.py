"""Whoever dies beside whichever step: no unit of a quota is lost or spent twice.

A front door and a worker bring nine jobs to every end there is. They are killed before
each of their steps, and behind each; Valkey is killed as well, and its log torn. Who
comes after them says and does the same again, and the books must close.
"""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest
from redis.asyncio import Redis

from service.accounts import Accounts
from service.core.errors import AlreadyFinished
from service.core.jobs import JobId, JobState
from service.core.requests import GenerationRequest
from service.job_store import JobStore, keys
from service.job_store.lease import Lease
from service.job_store.leases import Leases
from service.job_store.outcomes import Outcome
from service.job_store.pool import redis_pool
from service.job_store.scripting import script
from service.settings import Limits
from tests.fakes.brink import Brink
from tests.fakes.store_jobs import ATTEMPT, DONE, IMAGE, job
from tests.fakes.valkey import Valkey
from workers.sweep import Sweep

UNITS, ASKED = 5_000, 2
WHOLE = ("made", "again", "given back", "held")
FATES = (*WHOLE, "fewer", "failed", "called off", "canceled", "expired")
IMAGES = ASKED * len(WHOLE) + 1
LEASE = timedelta(milliseconds=60)
DAY = timedelta(days=1)
TEARS = 15


class Service:
    """A front door and a worker, which die together."""

    def __init__(self, redis: Redis, *, worker: str) -> None:
        self._store = JobStore(redis)
        self._leases = Leases(redis, worker=worker, slots=20, lease=LEASE)
        self._sweep = Sweep(redis, None, retention=DAY)

    async def aclose(self) -> None:
        await self._leases.aclose()
        await self._store.aclose()

    async def tell(self) -> None:
        """Submit what is not submitted, and bring it to its ends."""
        ids = {fate: await self._submit(fate) for fate in FATES}
        await self._cancel(ids["called off"])
        await asyncio.sleep(0.002)
        await self._sweep.expire()
        while await self._open(ids.values()):
            claim = await self._leases.claim(20, held={})
            for lease in claim.leases:
                await self._end(lease)
            if not claim.leases:
                await asyncio.sleep(0.01)

    async def _submit(self, fate: str) -> JobId:
        new = job(
            request=GenerationRequest(model="test/test", prompt=fate, n=ASKED),
            units=ASKED * UNITS,
            quota=len(FATES) * ASKED * UNITS,
            idempotency_name=fate,
            content_hash="00",
            start_within=timedelta(milliseconds=1) if fate == "expired" else None,
        )
        return (await self._store.submit(new)).job_id

    async def _cancel(self, job_id: JobId) -> None:
        try:
            await self._store.cancel(job_id, account="ada")
        except AlreadyFinished:
            return

    async def _open(self, ids) -> bool:
        jobs = [await self._store.get(job_id, account="ada") for job_id in ids]
        for one in jobs:
            if one.held:
                await self._store.release(one.id, account="ada")
        return not all(one.state.is_final for one in jobs)

    async def _end(self, lease: Lease) -> None:
        fate, is_first = lease.request.prompt, lease.attempts == 0
        if fate == "canceled":
            await self._cancel(lease.job_id)
        if fate == "given back" and lease.fence == 1:
            await self._leases.release(lease)
        elif fate in {"again", "held"} and is_first:
            await self._leases.retry(
                lease, ATTEMPT, wait=timedelta(0), hold=fate == "held"
            )
        else:
            await self._leases.commit(lease, outcome_of(fate))


def outcome_of(fate: str) -> Outcome:
    if fate == "failed":
        return Outcome(state=JobState.FAILED, attempt=ATTEMPT, error={"code": "x"})
    images = (IMAGE,) * (1 if fate == "fewer" else ASKED)
    return replace(DONE, images=images, asked=ASKED, model="test/test")


@asynccontextmanager
async def serving(url: str, *, worker: str) -> AsyncIterator[Service]:
    redis = Redis(connection_pool=redis_pool(url, timeout_s=5))
    service = Service(redis, worker=worker)
    try:
        yield service
    finally:
        await service.aclose()
        await redis.aclose(close_connection_pool=True)


async def dies(brink: Brink) -> bool:
    """Let the service work until the brink; whether it came so far."""
    async with serving(brink.url, worker="first") as first:
        telling = asyncio.create_task(first.tell())
        reached = asyncio.create_task(brink.reached.wait())
        async with asyncio.timeout(60):
            await asyncio.wait({telling, reached}, return_when="FIRST_COMPLETED")
        died = not telling.done()
        for task in (telling, reached):
            task.cancel()
        await asyncio.wait({telling, reached})
        assert telling.cancelled() == died, telling
        brink.go_on()
    return died


async def books(redis: Redis) -> dict[str, int]:
    """What is on the key's account, of whatever should add up."""
    use = await redis.hgetall(keys.use("key_1"))
    today = datetime.now(UTC).date()
    rows = await Accounts(redis, Limits()).usage("ada", today - DAY, today)
    counted = ("jobs", "succeeded", "failed", "canceled", "expired", "images", "units")
    ledger = {name: sum(getattr(row, name) for row in rows) for name in counted}
    return ledger | {
        "used": sum(int(n) for name, n in use.items() if name.startswith(b"used:")),
        **{name: int(use.get(name.encode(), 0)) for name in ("reserved", "open")},
        "running": int(use.get(b"running", 0)),
        "unaccounted": await script(redis, "audit")([]),
        "recounted": await script(redis, "recount")([3000, "key_1"]),
    }


CLOSED = {
    "jobs": len(FATES),
    "succeeded": len(WHOLE) + 1,
    "failed": 1,
    "canceled": 2,
    "expired": 1,
    "images": IMAGES,
    "units": IMAGES * UNITS,
    "used": IMAGES * UNITS,
    "reserved": 0,
    "open": 0,
    "running": 0,
    "unaccounted": 0,
    "recounted": 0,
}


async def closed(url: str) -> dict[str, int]:
    """Let somebody else do the same again; return the books."""
    async with serving(url, worker="second") as second, asyncio.timeout(60):
        await second.tell()
    async with Redis.from_url(url) as redis:
        return await books(redis)


@pytest.mark.parametrize("behind", [False, True], ids=["before", "behind"])
async def test_who_dies_beside_any_step_leaves_books_that_close(
    shared_valkey: Valkey, redis: Redis, *, behind: bool
):
    async with Brink(shared_valkey.socket) as brink:
        wrong, steps = {}, 0
        for step in count():
            await redis.flushall()
            passed = count()
            brink.stop(at=lambda _, p=passed, s=step: next(p) == s, behind=behind)
            if not await dies(brink):
                break
            steps += 1
            if (found := await closed(shared_valkey.url)) != CLOSED:
                wrong[step] = found

    assert wrong == {}
    assert steps > 3 * len(FATES)


async def test_a_valkey_that_is_killed_behind_some_step_leaves_books_that_close(
    valkey: Valkey,
):
    wrong, steps = {}, 0
    async with Brink(valkey.socket) as brink:
        for step in count(0, 4):
            async with Redis.from_url(valkey.url) as redis:
                await redis.flushall()
            passed = count()
            brink.stop(at=lambda _, p=passed, s=step: next(p) == s, behind=True)
            if not await dies(brink):
                break
            steps += 1
            valkey.kill()
            valkey.start()
            if (found := await closed(valkey.url)) != CLOSED:
                wrong[step] = found

    assert wrong == {}
    assert steps > len(FATES)


async def test_a_log_that_is_torn_anywhere_leaves_books_that_close(valkey: Valkey):
    dice, wrong = random.Random(7), {}
    await closed(valkey.url)
    valkey.kill()
    [log] = (valkey.folder / "appendonlydir").glob("*.incr.aof")
    whole = log.read_bytes()
    for _ in range(TEARS):
        at = dice.randrange(1, len(whole))
        log.write_bytes(whole[:at])
        valkey.start()

        found = await closed(valkey.url)

        valkey.kill()
        if found != CLOSED:
            wrong[at] = found
    assert wrong == {}
