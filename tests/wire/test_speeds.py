"""How long routes take: measured by workers, shared, and what a submission goes by."""

from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from redis.asyncio import Redis

from service.core.jobs import Attempt, JobState, new_job_id
from service.core.requests import GenerationRequest, Priority
from service.job_store import JobStore, keys
from service.job_store.gates import Gate
from service.job_store.lease import Kept, Lease
from service.job_store.leases import Leases
from service.job_store.outcomes import Outcome
from service.job_store.records import NewJob
from tests.fakes.door import front_door
from tests.fakes.valkey import Valkey

ROUTE = "dear/fox"
CATALOG = """
[providers.dear]
adapter = "test"
[providers.cheap]
adapter = "test"
[models.fox]
routes = ["cheap/fox", "dear/fox"]
sizes = ["64x64"]
strategy = "fastest"
"""


@pytest.fixture
async def store(redis: Redis) -> AsyncIterator[JobStore]:
    store = JobStore(redis)
    yield store
    await store.aclose()


@pytest.fixture
async def leases(redis: Redis) -> AsyncIterator[Leases]:
    leases = Leases(redis, worker="w", slots=9, gates={"dear": Gate()})
    await leases.announce()
    yield leases
    await leases.aclose()


async def claimed(store: JobStore, leases: Leases) -> Lease:
    request = GenerationRequest(model="fox", prompt="a fox")
    new = NewJob(
        id=new_job_id(),
        account="ada",
        key_id="key_1",
        priority=Priority.NORMAL,
        request=request,
        routes=(ROUTE,),
    )
    await store.submit(new)
    [lease] = (await leases.claim(1, held={})).leases
    return lease


def attempt(ms: int) -> Attempt:
    return Attempt(provider="dear", model="fox", started_at=datetime.now(UTC), ms=ms)


def success(ms: int) -> Outcome:
    return Outcome(state=JobState.SUCCEEDED, attempt=attempt(ms))


async def test_the_latest_success_counts_for_a_fifth_and_no_failure_counts(
    redis, store, leases
):
    await leases.commit(await claimed(store, leases), success(1000))
    lease = await claimed(store, leases)
    await leases.retry(lease, attempt(9), wait=timedelta(0), report="fault")
    [lease] = (await leases.claim(1, held={})).leases
    await leases.commit(lease, success(500))

    assert await store.speeds([ROUTE, "dear/owl"]) == {ROUTE: 900.0}
    assert await redis.exists(keys.route(ROUTE)) == 0  # the breaker forgot its failure


async def test_who_looked_at_what_was_bought_before_measures_nothing(store, leases):
    lease = await claimed(store, leases)

    await leases.commit(replace(lease, kept=Kept(ROUTE, ("task",))), success(3))

    assert await store.speeds([ROUTE]) == {}


async def test_what_was_read_is_believed_for_some_seconds(redis, store):
    await redis.set(keys.speed(ROUTE), 70)
    before = await store.speeds([ROUTE])
    await redis.set(keys.speed(ROUTE), 7000)

    assert await store.speeds([ROUTE]) == before == {ROUTE: 70.0}


async def test_a_submission_goes_to_the_fastest_route_first(
    redis, shared_valkey: Valkey, tmp_path: Path
):
    catalog = tmp_path / "catalog.toml"
    catalog.write_text(CATALOG)
    await redis.mset({keys.speed("dear/fox"): 80, keys.speed("cheap/fox"): 500})
    ask = {"model": "fox", "prompt": "a fox"}

    async with front_door(shared_valkey.url, tmp_path, catalog_file=catalog) as door:
        jobs = [(await door.submit(**ask))["id"] for _ in range(20)]
        told = [await door.post("/v1/jobs", {**ask, "dry_run": True}) for _ in range(9)]

    stored = [await redis.hget(keys.job(job_id), "routes") for job_id in jobs]
    [(most, _), *_] = Counter(stored).most_common()
    first = Counter(answer.body["routes"][0]["provider"] for answer in told)
    assert most == b"dear/fox\ncheap/fox"
    assert first.most_common(1)[0][0] == "dear"
