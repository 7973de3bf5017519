"""Nobody knows whether it was bought: what becomes of the job, its key has said."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from service.core.errors import ProviderAmbiguous, ProviderUnavailable
from service.core.jobs import Attempt, JobState
from service.core.retries import OnAmbiguous
from service.events.events import Event
from service.job_store import keys
from service.job_store.gates import Gate
from service.job_store.lease import Lease
from service.job_store.leases import Leases
from service.job_store.scripting import script
from tests.fakes.crew import Crew
from tests.fakes.door import FrontDoor
from tests.fakes.pictures import draw
from tests.fakes.providers import ScriptedProvider
from tests.fakes.valkey import Valkey

CATALOG = """
[providers.dear]
adapter = "test"
max_in_flight = 10
[models.fox]
routes = ["dear/fox"]
sizes = ["64x64"]
"""
PICTURE = draw("a fox", width=64, height=64)
ROOT = Path(__file__).parents[2]
FAIL, HOLD = OnAmbiguous.FAIL, OnAmbiguous.HOLD
LOST = ProviderAmbiguous("no answer")


@pytest.fixture
async def crew(
    shared_valkey: Valkey, redis: Redis, tmp_path: Path
) -> AsyncIterator[Crew]:
    async with Crew(
        url=shared_valkey.url, redis=redis, folder=tmp_path, catalog=CATALOG
    ) as crew:
        yield crew


def provider(*errors: Exception) -> ScriptedProvider:
    return ScriptedProvider(*errors, picture=PICTURE)


async def asked(upstream: ScriptedProvider, times: int = 1) -> None:
    async with asyncio.timeout(5):
        while len(upstream.asked) < times:
            await asyncio.sleep(0.01)


async def died_over(redis: Redis) -> Lease:
    """Return the lease of a worker that claimed the one job and is gone."""
    dead = Leases(
        redis,
        worker="dead",
        slots=1,
        lease=timedelta(seconds=0.2),
        gates={"dear": Gate()},
    )
    [lease] = (await dead.claim(1, held={})).leases
    await dead.aclose()
    return lease


async def test_without_a_policy_another_attempt_is_made(crew):
    upstream = provider(LOST)

    async with crew.worker(dear=upstream):
        done = await crew.ended(await crew.submit("dear/fox"))

    assert done.state is JobState.SUCCEEDED
    assert [a.error_code for a in done.trail] == ["provider_ambiguous", None]


async def test_a_key_that_fails_what_is_ambiguous_buys_nothing_twice(crew):
    upstream = provider(ProviderUnavailable("down"), LOST)

    async with crew.worker(dear=upstream):
        done = await crew.ended(await crew.submit("dear/fox", on_ambiguous=FAIL))

    assert done.state is JobState.FAILED
    assert done.error == {"code": "provider_ambiguous", "message": "no answer"}
    assert [a.billed for a in done.trail] == [None, None]
    assert len(upstream.asked) == 2


async def test_a_held_job_waits_without_slot_or_permit_until_it_is_released(
    crew, redis
):
    upstream = provider(LOST)
    async with crew.worker(dear=upstream):
        job_id = await crew.submit("dear/fox", on_ambiguous=HOLD, most_running=1)
        held = await crew.held(job_id)
        other = await crew.ended(await crew.submit("dear/fox", most_running=1))
        unaccounted = await script(redis, "audit")([])
        asked_meanwhile = len(upstream.asked)

        await crew.jobs.release(job_id, account="ada")
        done = await crew.ended(job_id)

    assert (held.state, held.completed_at) == (JobState.QUEUED, None)
    assert await crew.jobs.position(held) is None
    assert other.state is JobState.SUCCEEDED
    assert (unaccounted, asked_meanwhile) == (0, 2)
    assert await redis.hget(keys.gate("dear"), "running") == b"0"
    assert done.state is JobState.SUCCEEDED
    told = [(a.provider, a.outcome, a.error_code, a.billed) for a in done.trail]
    assert told == [
        ("dear", "failed", "provider_ambiguous", None),
        ("dear", "succeeded", None, True),
    ]


async def test_however_often_it_is_released_a_lost_answer_holds_it_again(crew):
    crew.most_attempts = 1
    async with crew.worker(dear=provider(LOST, LOST, LOST)):
        job_id = await crew.submit("dear/fox", on_ambiguous=HOLD)
        for _ in range(3):
            held = await crew.held(job_id)
            await crew.jobs.release(job_id, account="ada")
        done = await crew.ended(job_id)

    assert held.attempts == 3
    assert done.state is JobState.SUCCEEDED


@pytest.mark.parametrize("policy", [FAIL, HOLD])
async def test_a_worker_that_died_over_a_call_leaves_an_open_question(
    crew, redis, policy
):
    upstream = provider()
    job_id = await crew.submit("dear/fox", on_ambiguous=policy)
    lease = await died_over(redis)

    async with crew.worker(dear=upstream):
        seen = await (crew.ended if policy is FAIL else crew.held)(job_id)

    assert (lease.on_ambiguous, lease.in_doubt) == (policy, False)
    assert upstream.asked == []
    assert seen.state is (JobState.FAILED if policy is FAIL else JobState.QUEUED)
    told = [(a.outcome, a.error_code, a.billed) for a in seen.trail]
    assert told == [
        ("interrupted", None, None),
        ("failed", "provider_ambiguous", None),
    ]


async def test_a_worker_that_gives_a_call_up_to_stop_leaves_one_too(crew):
    upstream = provider()
    upstream.gate.clear()
    async with crew.worker(dear=upstream, drain=0):
        job_id = await crew.submit("dear/fox", on_ambiguous=HOLD)
        await asked(upstream)

    async with crew.worker(dear=upstream):
        held = await crew.held(job_id)
        upstream.gate.set()
        await crew.jobs.release(job_id, account="ada")
        done = await crew.ended(job_id)

    assert [a.error_code for a in held.trail] == ["provider_ambiguous"]
    assert done.state is JobState.SUCCEEDED
    assert len(upstream.asked) == 2


async def test_what_a_dead_worker_had_stored_answers_the_question(crew, redis):
    upstream = provider()
    async with crew.worker(dear=upstream):
        bought = await crew.submit("dear/fox", on_ambiguous=HOLD)
        await crew.ended(bought)
    # As if the worker had died between the receipt and the commit.
    receipt = await crew.images.get(f"jobs/{bought}/1/receipt.json")
    job_id = await crew.submit("dear/fox", on_ambiguous=HOLD)
    await died_over(redis)
    await crew.images.put(
        f"jobs/{job_id}/1/receipt.json", receipt, content_type="application/json"
    )

    async with crew.worker(dear=upstream):
        done = await crew.ended(job_id)

    assert done.state is JobState.SUCCEEDED
    assert len(upstream.asked) == 1


async def held_at(door: FrontDoor, redis: Redis, **fields: object) -> tuple[str, str]:
    """Return the path of a held job, and the secret of its owner."""
    _, secret = await door.knows("ada", on_ambiguous=HOLD)
    ask = {"model": "test/test", "prompt": "a fox", **fields}
    job = (await door.post("/v1/jobs", ask, secret=secret)).body
    await hold_one(redis)
    return f"/v1/jobs/{job['id']}", secret


async def hold_one(redis: Redis, *, worker: str = "w") -> None:
    """Let the answer to the one job that is ready be lost."""
    leases = Leases(redis, worker=worker, slots=1)
    [lease] = (await leases.claim(1, held={})).leases
    assert lease.on_ambiguous is HOLD
    assert await leases.retry(lease, lost(lease), wait=timedelta(0), hold=True)
    await leases.aclose()


def lost(lease: Lease) -> Attempt:
    provider, _, model = (lease.route or "test/test").partition("/")
    return Attempt(
        provider=provider,
        model=model,
        started_at=datetime.now(UTC),
        ms=5,
        outcome="failed",
        error_code="provider_ambiguous",
    )


async def test_its_owner_sees_that_a_job_is_held_and_lets_it_go_once(door, redis):
    path, secret = await held_at(door, redis)
    seen = await door.get(path, secret=secret)
    tag = {"If_None_Match": seen.headers["ETag"]}

    foreign = await door.post(f"{path}/release")
    still = await door.get(path, secret=secret, **tag)
    released = await door.post(f"{path}/release", secret=secret)
    changed = await door.get(path, secret=secret, **tag)
    again = await door.post(f"{path}/release", secret=secret)

    assert seen.body["status"] == "queued"
    assert seen.body["queue"]["held"] is True
    assert seen.body["queue"]["position"] is None
    assert seen.body["attempts"][0]["billed"] is None
    assert (foreign.status, foreign.code) == (404, "not_found")
    assert (still.status, changed.status) == (304, 200)
    assert released.status == 200
    assert released.body["queue"]["held"] is False
    assert released.body["queue"]["position"] == 1
    assert (again.status, again.code) == (409, "not_held")


async def test_whoever_hears_of_events_hears_unasked_that_a_job_is_held(door, redis):
    _, secret = await door.knows("ada", on_ambiguous=HOLD)
    hook = {"url": "https://hooks.example.com/x"}
    await door.post("/v1/endpoints", hook, secret=secret)
    stream = keys.events("ada")
    path, _ = await held_at(door, redis, webhook=hook)
    await door.post(f"{path}/release", secret=secret)
    await hold_one(redis, worker="w2")

    told = (await door.get("/v1/deliveries", secret=secret)).body["data"]
    happened = [fields for _, fields in await redis.xrange(stream)]
    held = await door.get("/v1/jobs?held=true", secret=secret)
    others = await door.get("/v1/jobs?held=false", secret=secret)
    wrong = await door.get("/v1/jobs?held=yes", secret=secret)

    assert [delivery["type"] for delivery in told] == ["job.held"] * 4
    assert len({delivery["event_id"] for delivery in told}) == 2
    assert [Event.read((1, 0), fields).type for fields in happened] == [
        *("job.queued", "job.started", "job.held"),
        *("job.queued", "job.started", "job.held"),
    ]
    assert [job["id"] for job in held.body["data"]] == [path.rpartition("/")[2]]
    assert others.body["data"] == []
    assert (wrong.status, wrong.code) == (400, "invalid_enum")


async def test_generate_says_that_its_job_is_held_and_how_it_goes_on(door, redis):
    _, secret = await door.knows("ada", on_ambiguous=HOLD)
    generating = await typed(door, secret, "generate", "a fox")
    async with asyncio.timeout(10):
        while not (found := await jobs_of(door, secret)):
            await asyncio.sleep(0.02)
        await hold_one(redis)
        said = (await generating.stderr.readline()).decode()
    await door.post(f"/v1/jobs/{found[0]['id']}/cancel", secret=secret)
    _, said_then = await generating.communicate()

    assert "is held" in said
    assert f"`darkroom jobs release {found[0]['id']}`" in said
    assert "is held" not in said_then.decode()
    assert generating.returncode == 1


async def jobs_of(door: FrontDoor, secret: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await door.get("/v1/jobs", secret=secret)).body[
        "data"
    ]
    return found


async def test_a_held_job_is_shown_and_released_on_the_command_line(door, redis):
    path, secret = await held_at(door, redis)
    job_id = path.rpartition("/")[2]
    ask = {"model": "test/test", "prompt": "another fox"}
    await door.post("/v1/jobs", ask, secret=secret)

    shown = await darkroom(door, secret, "jobs", "list", "--held")
    released = await darkroom(door, secret, "jobs", "release", job_id)

    assert "queued (held)" in shown
    assert shown.count("job_") == 1
    assert released == f"{job_id} is queued\n"


async def typed(door: FrontDoor, secret: str, *command: str) -> Any:
    """Return the process of a command."""
    return await asyncio.create_subprocess_exec(
        Path(sys.executable).with_name("darkroom"),
        *(*command, "--url", door.url),
        env={**os.environ, "DARKROOM_API_KEY": secret, "PYTHONPATH": str(ROOT)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def darkroom(door: FrontDoor, secret: str, *command: str) -> str:
    """Return what a command prints."""
    process = await typed(door, secret, *command)
    said, _ = await process.communicate()
    assert process.returncode == 0
    return str(said.decode())


async def test_a_held_job_can_be_canceled_and_is_not_held_any_more(door, redis):
    path, secret = await held_at(door, redis)

    canceled = await door.post(f"{path}/cancel", secret=secret)
    released = await door.post(f"{path}/release", secret=secret)

    assert canceled.body["status"] == "canceled"
    assert released.code == "not_held"
    assert await redis.keys(keys.wait("*")) == []
    assert await redis.get(f"{keys.QUEUE}:open") == b"0"


async def test_a_held_job_expires_at_its_deadline(door, redis):
    path, secret = await held_at(door, redis, deadline_s=1)
    expired = []

    async with asyncio.timeout(5):
        while not expired:
            await asyncio.sleep(0.05)
            expired = await script(redis, "expire")([100, 60_000])

    assert (await door.get(path, secret=secret)).body["status"] == "expired"


async def test_an_entry_of_a_held_job_that_was_thrown_out_is_put_back(door, redis):
    path, secret = await held_at(door, redis)
    [lane] = await redis.keys(keys.wait("held:*"))
    await redis.delete(lane)

    healed = await script(redis, "repair")([path.rpartition("/")[2]])

    assert len(healed) == 1
    assert await redis.keys(keys.wait("held:*")) == [lane]
    assert (await door.get(path, secret=secret)).body["queue"]["held"] is True
