"""Valkey stands still: submissions are refused in time, and refused for good."""

import asyncio
import time

from tests.chaos.report import Report
from tests.chaos.stage import MODEL, Cast, Stage, on_stage

REFUSED_WITHIN_S = 3
TOLD_WITHIN_S = 15
_VOLLEYS = 3
_AT_ONCE = 5
_LOOK_S = 0.1


async def run(*, rounds: int, cast: Cast) -> Report:
    """Freeze, submit, look at `/readyz`, thaw; `rounds` times over."""
    report = Report("freeze")
    accepted, refusals_s, red_s, green_s = (
        0,
        list[float](),
        list[float](),
        list[float](),
    )
    async with on_stage(cast) as stage:
        for number in range(rounds):
            name = f"before freeze {number}"
            job_id = await stage.client.submit(name, name=name, model=MODEL)
            await stage.client.final(job_id)
            accepted += 1
            stage.valkey.freeze()
            frozen_at = time.monotonic()
            volleys = asyncio.create_task(_volleys(stage, number, report))
            red_s.append(await _until(stage, 503) - frozen_at)
            refusals_s += await volleys
            stage.valkey.thaw()
            thawed_at = time.monotonic()
            green_s.append(await _until(stage, 200) - thawed_at)
        prompts = [job["request"]["prompt"] async for job in stage.client.jobs()]
    ghosts = [prompt for prompt in prompts if prompt.startswith("refused")]
    report.note(rounds=rounds, accepted=accepted, refused=len(refusals_s))
    report.note(slowest_refusal_s=max(refusals_s))
    report.note(red_after_s=max(red_s), green_after_s=max(green_s))
    report.expect_none("refused_jobs_that_appeared", ghosts)
    report.expect(that=len(prompts) == accepted, otherwise=f"{len(prompts)} jobs")
    for what, took_s, within_s in (
        ("a refusal", refusals_s, REFUSED_WITHIN_S),
        ("red", red_s, TOLD_WITHIN_S),
        ("green", green_s, TOLD_WITHIN_S),
    ):
        report.expect(
            that=max(took_s) <= within_s,
            otherwise=f"{what} took {max(took_s):.2f} s, more than {within_s} s",
        )
    return report


async def _volleys(stage: Stage, number: int, report: Report) -> list[float]:
    """Submit several at once, several times; return how long each refusal took."""

    async def one(volley: int, shot: int) -> float:
        prompt = f"refused {number}-{volley}-{shot}"
        begun = time.monotonic()
        answer = await stage.client.submit_once(prompt, name=prompt, model=MODEL)
        report.expect(that=answer.status == 503, otherwise=f"a frozen {answer}")
        return time.monotonic() - begun

    took_s = list[float]()
    for volley in range(_VOLLEYS):
        took_s += await asyncio.gather(*(one(volley, i) for i in range(_AT_ONCE)))
    return took_s


async def _until(stage: Stage, status: int) -> float:
    async with asyncio.timeout(2 * TOLD_WITHIN_S):
        while (await stage.client.readiness()).status != status:
            await asyncio.sleep(_LOOK_S)
    return time.monotonic()
