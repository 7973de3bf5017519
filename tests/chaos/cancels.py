"""Jobs are called off at any time of their lives, from before their call to its end.

What an account asks for is final at once: nothing is bought behind it, nothing it
made stays in the store, and what was reserved for it comes back.
"""

import asyncio
import random
import time
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from math import inf

from service.accounts import Accounts, Grant, Scope
from service.job_store import keys
from service.settings import Limits
from tests.chaos import books
from tests.chaos.client import Client
from tests.chaos.report import Report
from tests.chaos.stage import MODEL, Cast, Stage, on_stage
from tests.chaos.watch import Watcher, watching

_UNITS = 5_000


@dataclass(frozen=True)
class _Canceled:
    """What the client was told, and when, in ms of the wall clock."""

    job_id: str
    prompt: str
    status: int
    state: str
    at_ms: float


async def run(*, jobs: int, seed: int, cast: Cast) -> Report:
    """Submit so many and call each off after a random time, twice."""
    report = Report(f"cancels, seed {seed}")
    async with on_stage(cast) as stage, watching(stage.valkey.url) as watcher:
        grant = Grant(account="default", scopes=frozenset(Scope), quota_units=10**12)
        accounts = Accounts(stage.redis, Limits())
        key, secret = await accounts.create(grant)
        client = stage.client.using(secret)
        life_s = 2 * jobs / cast.jobs_per_s
        begun = time.monotonic()
        told = await asyncio.gather(
            *(_one(client, n, random.Random(seed + n), life_s) for n in range(jobs))
        )
        ends = [await client.final(one.job_id) for one in told]
        report.note(jobs=jobs, seed=seed, run_s=time.monotonic() - begun)
        await asyncio.sleep(cast.latency_ms / 1000)  # what is late upstream comes home
        await watcher.look()
        report.expect_none("objects_of_nobody", await _orphans(stage))
        balance = await accounts.balance(key)
        _settle(report, stage, watcher, told, ends)
    made = sum(end["status"] == "succeeded" for end in ends)
    report.note(units_charged=balance.used, units_reserved=balance.reserved)
    report.expect(
        that=(balance.used, balance.reserved) == (made * _UNITS, 0),
        otherwise=f"{balance} for {made} images",
    )
    return report


async def _one(
    client: Client, number: int, dice: random.Random, life_s: float
) -> _Canceled:
    """Return what the first of two equal wishes came to."""
    prompt = f"cancel {number}"
    await asyncio.sleep(dice.uniform(0, life_s / 2))
    job_id = await client.submit(prompt, name=prompt, model=MODEL)
    await asyncio.sleep(dice.uniform(0, life_s / 2))
    first = await client.cancel(job_id)
    at_ms = datetime.now(UTC).timestamp() * 1000
    second = await client.cancel(job_id)
    assert first.status == second.status, (first, second)
    state = first.body["status"] if first.status == 200 else ""
    return _Canceled(job_id, prompt, first.status, state, at_ms)


async def _orphans(stage: Stage) -> list[str]:
    """Return what no sweep would ever delete: no job of its name is listed for it."""
    names = [path.name for path in (stage.images / "jobs").glob("*")]
    async with stage.redis.pipeline(transaction=False) as pipe:
        for name in names:
            pipe.zscore(keys.RETENTION, name)
        listed = await pipe.execute()
    return [name for name, at in zip(names, listed, strict=True) if at is None]


def _settle(
    report: Report,
    stage: Stage,
    watcher: Watcher,
    told: list[_Canceled],
    ends: list[dict],
) -> None:
    states = Counter(end["status"] for end in ends)
    report.note(**states)
    refused = Counter(one.status for one in told)
    report.note(accepted=refused[200], refused_because_final=refused[409])
    report.expect_none(
        "other_ends", [s for s in states if s not in {"succeeded", "canceled"}]
    )
    report.expect_none(
        "not_as_told",
        [
            f"{one.job_id}: {one.status} {one.state}, then {end['status']}"
            for one, end in zip(told, ends, strict=True)
            if (one.status == 200) != (end["status"] == "canceled")
        ],
    )
    report.expect_none("states_going_backwards", watcher.backwards)
    report.expect_none("second_finals", [i for i, n in watcher.finals.items() if n > 1])
    word = {one.prompt: one.at_ms for one in told if one.status == 200}
    calls = books.calls(stage.ledger)
    report.note(calls=len(calls))
    report.note(called_and_canceled=sum(call.prompt in word for call in calls))
    report.expect_none(
        "calls_begun_after_the_word",
        [call for call in calls if call.received_ms > word.get(call.prompt, inf)],
    )
