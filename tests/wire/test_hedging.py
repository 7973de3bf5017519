"""A second route beside a slow one: the first answer wins, and both are told of."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from redis.asyncio import Redis

from service.core.errors import (
    PromptRejected,
    ProviderAmbiguous,
    ProviderError,
    ProviderThrottled,
    ProviderUnavailable,
)
from service.core.jobs import Attempt, Job, JobState
from service.core.requests import GenerationRequest
from service.core.retries import OnAmbiguous
from service.job_store import keys
from service.job_store.gates import Gate
from service.job_store.leases import Leases
from tests.fakes.crew import Crew
from tests.fakes.pictures import draw
from tests.fakes.providers import ScriptedProvider
from tests.fakes.valkey import Valkey

CATALOG = """
[providers.slow]
adapter = "test"
max_images_in_flight = 20
[providers.quick]
adapter = "test"
max_in_flight = 1
max_images_in_flight = 20
[models.fox]
routes = ["slow/fox", "quick/fox"]
sizes = ["64x64"]
max_n = 4
price_usd = 0.5
hedge_after_s = 0.1
"""
ROUTES = ("slow/fox", "quick/fox")
PICTURE = draw("a fox", width=64, height=64)


@pytest.fixture
async def crew(
    shared_valkey: Valkey, redis: Redis, tmp_path: Path
) -> AsyncIterator[Crew]:
    async with Crew(
        url=shared_valkey.url, redis=redis, folder=tmp_path, catalog=CATALOG
    ) as crew:
        yield crew


def provider(*errors: ProviderError, cost: str | None = None) -> ScriptedProvider:
    return ScriptedProvider(
        *errors, picture=PICTURE, cost_usd=None if cost is None else Decimal(cost)
    )


def hanging(*errors: ProviderError) -> ScriptedProvider:
    slow = provider(*errors)
    slow.gate.clear()
    return slow


async def asked(upstream: ScriptedProvider) -> None:
    async with asyncio.timeout(5):
        while not upstream.asked:
            await asyncio.sleep(0.01)


async def in_flight(redis: Redis) -> list[tuple[int, int]]:
    found = [
        await redis.hmget(keys.gate(name), "running", "images")
        for name in ("slow", "quick")
    ]
    return [(int(calls or 0), int(images or 0)) for calls, images in found]


async def booked(redis: Redis) -> dict[str, int]:
    """Return what the ledger says of costs."""
    [ledger] = await redis.keys("darkroom:usage:ada:*")
    rows = (await redis.hgetall(ledger)).items()
    named = {name.decode().partition(":")[2]: int(value) for name, value in rows}
    return {name: value for name, value in named.items() if "cost" in name}


def told(job: Job) -> list[tuple[str, str, str | None, bool | None]]:
    return [(a.provider, a.outcome, a.error_code, a.billed) for a in job.trail]


async def test_the_second_route_answers_for_a_slow_first(crew, redis):
    slow, quick = hanging(), provider(cost="0.03")

    async with crew.worker(slow=slow, quick=quick):
        done = await crew.ended(await crew.submit(*ROUTES, n=2))

    canceled, won = done.trail
    assert done.state is JobState.SUCCEEDED
    assert told(done) == [
        ("slow", "canceled", None, None),
        ("quick", "succeeded", None, True),
    ]
    assert done.cost_usd == won.cost_usd == "0.03"
    assert canceled.ms >= 100
    assert canceled.started_at < won.started_at
    assert (done.attempts, len(done.images)) == (1, 2)
    assert await booked(redis) == {"cost_micros:reported": 30_000}
    assert await in_flight(redis) == [(0, 0), (0, 0)]


async def test_a_first_that_answers_after_all_calls_the_second_off(crew, redis):
    slow, quick = hanging(), hanging()

    async with crew.worker(slow=slow, quick=quick):
        job_id = await crew.submit(*ROUTES, n=3)
        await asked(quick)
        meanwhile = await in_flight(redis)
        slow.gate.set()
        done = await crew.ended(job_id)

    assert meanwhile == [(1, 3), (1, 3)]
    assert told(done) == [
        ("quick", "canceled", None, None),
        ("slow", "succeeded", None, True),
    ]
    assert await in_flight(redis) == [(0, 0), (0, 0)]


async def test_a_first_that_answers_in_time_has_none_beside_it(crew):
    slow, quick = provider(), provider()

    async with crew.worker(slow=slow, quick=quick):
        done = await crew.ended(await crew.submit(*ROUTES))

    assert told(done) == [("slow", "succeeded", None, True)]
    assert quick.asked == []


async def test_a_second_that_has_no_room_is_not_called(crew, redis):
    slow, quick = hanging(), hanging()
    async with crew.worker(slow=slow, quick=quick):
        await crew.submit("quick/fox")
        await asked(quick)
        job_id = await crew.submit(*ROUTES)
        await asyncio.sleep(0.3)
        meanwhile = len(quick.asked)
        slow.gate.set()
        done = await crew.ended(job_id)
        quick.gate.set()

    assert meanwhile == 1
    assert told(done) == [("slow", "succeeded", None, True)]


@pytest.mark.parametrize("policy", [OnAmbiguous.FAIL, OnAmbiguous.HOLD])
async def test_a_key_that_wants_nothing_bought_twice_is_not_hedged(crew, policy):
    slow, quick = hanging(), provider()

    async with crew.worker(slow=slow, quick=quick):
        job_id = await crew.submit(*ROUTES, on_ambiguous=policy)
        await asked(slow)
        await asyncio.sleep(0.2)
        slow.gate.set()
        done = await crew.ended(job_id)

    assert told(done) == [("slow", "succeeded", None, True)]


async def test_an_error_of_one_waits_for_the_answer_of_the_other(crew):
    slow = hanging()
    quick = provider(ProviderUnavailable("down"))

    async with crew.worker(slow=slow, quick=quick):
        job_id = await crew.submit(*ROUTES)
        await asked(quick)
        slow.gate.set()
        done = await crew.ended(job_id)

    assert told(done) == [
        ("quick", "failed", "provider_unavailable", None),
        ("slow", "succeeded", None, True),
    ]


async def test_where_both_fail_the_next_attempt_begins_and_both_routes_hear_of_it(
    crew, redis
):
    slow = hanging(ProviderUnavailable("down"))
    quick = provider(ProviderThrottled("busy", retry_after=timedelta(seconds=30)))

    async with crew.worker(slow=slow, quick=quick):
        job_id = await crew.submit(*ROUTES)
        await asked(quick)
        slow.gate.set()
        done = await crew.ended(job_id)

    gates = await crew.jobs.gates(ROUTES)
    assert told(done) == [
        ("quick", "failed", "provider_throttled", False),
        ("slow", "failed", "provider_unavailable", None),
        ("slow", "succeeded", None, True),
    ]
    assert done.attempts == 2
    assert gates.providers["quick"].closed_until is not None
    assert gates.providers["slow"].closed_until is None


async def test_a_refused_prompt_of_the_first_is_the_answer_unless_it_may_lead_on(crew):
    outcomes = []
    for leads_on in (False, True):
        slow, quick = hanging(PromptRejected("not this")), hanging()
        request = GenerationRequest(
            model="fox", prompt="a fox", failover_on_refusal=leads_on
        )
        async with crew.worker(slow=slow, quick=quick):
            job_id = await crew.submit(*ROUTES, request=request)
            await asked(quick)
            slow.gate.set()
            await asyncio.sleep(0.1)
            quick.gate.set()
            outcomes.append(told(await crew.ended(job_id)))

    refused = ("slow", "failed", "content_policy", False)
    assert outcomes == [
        [("quick", "canceled", None, None), refused],
        [refused, ("quick", "succeeded", None, True)],
    ]


async def test_a_second_that_may_have_been_billed_counts_among_the_costly_tries(crew):
    slow = hanging(ProviderUnavailable("down"))
    quick = provider(ProviderAmbiguous("no answer"))

    async with crew.worker(slow=slow, quick=quick):
        job_id = await crew.submit(*ROUTES)
        await asked(quick)
        slow.gate.set()
        await crew.ended(job_id)

    assert await crew.redis.hget(keys.job(job_id), "costly") == b"1"


async def test_a_dead_workers_second_call_is_not_counted_any_more(crew, redis):
    job_id = await crew.submit(*ROUTES, n=2)
    gates = {"slow": Gate(max_images_in_flight=20), "quick": Gate()}
    lease = timedelta(seconds=0.2)
    dead = Leases(redis, worker="dead", slots=1, lease=lease, gates=gates)
    await dead.announce()
    [held] = (await dead.claim(1, held={})).leases
    beside = [await dead.hedge(held, ["quick/fox"]) for _ in range(2)]
    counted = await in_flight(redis)
    await dead.aclose()

    slow = hanging()
    async with crew.worker(slow=slow):
        await asked(slow)
        taken_over = await in_flight(redis)
        slow.gate.set()
        await crew.ended(job_id)

    assert beside == ["quick/fox"] * 2
    assert counted == [(1, 2), (1, 2)]
    assert taken_over == [(1, 2), (0, 0)]


async def test_who_waits_for_a_provider_is_served_before_a_second_call(redis, crew):
    gates = {"slow": Gate(), "quick": Gate(max_images_in_flight=4)}
    leases = Leases(redis, worker="w", slots=9, gates=gates)
    await leases.announce()
    await crew.submit("quick/fox", n=2)
    await crew.submit("slow/fox")
    small, first = (await leases.claim(9, held={})).leases
    await crew.submit("quick/fox", n=4)
    await leases.claim(9, held={})

    beside = await leases.hedge(first, ["quick/fox"])

    assert (small.route, first.route) == ("quick/fox", "slow/fox")
    assert beside is None
    await leases.aclose()


async def test_nobody_hedges_a_job_that_is_not_his_any_more(redis, crew):
    gates = {"slow": Gate(), "quick": Gate()}
    leases = Leases(redis, worker="w", slots=9, gates=gates)
    await leases.announce()
    await crew.submit(*ROUTES)
    [lease] = (await leases.claim(9, held={})).leases
    attempt = Attempt(provider="slow", model="fox", started_at=None, outcome="failed")
    await leases.retry(lease, attempt, wait=timedelta(0))

    assert await leases.hedge(lease, ["quick/fox"]) is None
    assert await in_flight(redis) == [(0, 0), (0, 0)]
    await leases.aclose()
