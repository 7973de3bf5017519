"""Far more slots than a provider takes calls; jobs of another one come in between.

The fake counts how many calls it has at once. The others are timed alone first, and
then while hundreds wait for the narrow one.
"""

import asyncio
import time

import aiohttp

from tests.chaos.report import Report
from tests.chaos.stage import MODEL, Cast, Stage, on_stage

NARROW = "chaos/narrow"
_CATALOG = """
[providers.narrow]
adapter = "openai"
base_url = "{narrow}"
api_key_env = "UPSTREAM_API_KEY"
max_in_flight = 8
[models."chaos/narrow"]
routes = ["narrow/gpt-image-1"]
sizes = ["1024x1024"]
"""
LIMIT = 8
_GUESTS, _ROUNDS = 20, 5


async def run(*, jobs: int, narrow_ms: float, cast: Cast) -> Report:
    """Submit `jobs` jobs for the narrow provider at once, and time the others."""
    report = Report("permits")
    command = ("tests.fakes.openai_upstream", "--thumbnails")
    latency = ("--latency-ms", str(narrow_ms))
    others = {"narrow": (*command, *latency)}
    async with on_stage(cast, others=others, catalog=_CATALOG) as stage:
        alone = [await _guests(stage, f"alone {i}") for i in range(_ROUNDS)]
        begun = time.monotonic()
        crowd = [asyncio.create_task(_one(stage, n, NARROW)) for n in range(jobs)]
        while not await _most(stage):
            await asyncio.sleep(0.05)
        beside = [await _guests(stage, f"beside {i}") for i in range(_ROUNDS)]
        waiting = sum(not task.done() for task in crowd)
        ends = await asyncio.gather(*crowd)
        took_s = time.monotonic() - begun
        most = await _most(stage)
    ideal_s = jobs * narrow_ms / 1000 / LIMIT
    report.note(workers=cast.workers, slots_each=cast.slots, jobs=jobs, limit=LIMIT)
    report.note(narrow_ms=narrow_ms, most_at_once=most, run_s=took_s, ideal_s=ideal_s)
    report.note(waiting_after_the_others=waiting)
    alone_s, beside_s = max(alone), max(beside)
    limit_s = 2 * alone_s + 1
    report.note(others_alone_s=alone_s, others_beside_s=beside_s, limit_s=limit_s)
    report.expect_none("lost", [e["id"] for e in ends if e["status"] != "succeeded"])
    tries = [e["id"] for e in ends if len(e["attempts"]) != 1]
    report.expect_none("more_than_one_attempt", tries)
    report.expect(that=most == LIMIT, otherwise=f"{most} calls at once")
    report.expect(that=waiting > 0, otherwise="the crowd was gone too soon")
    report.expect(that=beside_s <= limit_s, otherwise=f"the others took {beside_s:.1f}")
    report.expect(
        that=took_s <= 1.5 * ideal_s + 5, otherwise=f"{took_s:.1f} s for {ideal_s:.1f}"
    )
    return report


async def _guests(stage: Stage, name: str) -> float:
    begun = time.monotonic()
    prompts = (f"{name}, number {number}" for number in range(_GUESTS))
    ends = await asyncio.gather(*(_drawn(stage, p, MODEL) for p in prompts))
    assert {end["status"] for end in ends} == {"succeeded"}
    return time.monotonic() - begun


async def _one(stage: Stage, number: int, model: str) -> dict:
    return await _drawn(stage, f"a fox, number {number}", model)


async def _drawn(stage: Stage, prompt: str, model: str) -> dict:
    job_id = await stage.client.submit(prompt, name=prompt, model=model)
    return await stage.client.final(job_id)


async def _most(stage: Stage) -> int:
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{stage.origin('narrow')}/control") as answer,
    ):
        told: dict[str, int] = await answer.json()
    return told["most_at_once"]
