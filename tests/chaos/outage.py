"""Valkey goes away while calls are in flight; nothing is bought a second time."""

import asyncio
import time
from typing import Literal

from tests.chaos import books
from tests.chaos.report import Report
from tests.chaos.stage import MODEL, Cast, Stage, on_stage

_LOOK_S = 0.02


async def run(
    *, jobs: int, away_s: float, by: Literal["freezing", "killing"], cast: Cast
) -> Report:
    """Take Valkey away for `away_s` once all slots wait for the upstream."""
    report = Report(f"outage of {away_s:g} s, by {by}")
    async with on_stage(cast) as stage:
        ids = await asyncio.gather(
            *(
                stage.client.submit(f"call {n}", name=f"outage-{n}", model=MODEL)
                for n in range(jobs)
            )
        )
        in_flight = await _until_in_flight(stage, min(jobs, cast.all_slots))
        if by == "freezing":
            stage.valkey.freeze()
            await asyncio.sleep(away_s)
            stage.valkey.thaw()
        else:
            async with stage.without_valkey():
                await asyncio.sleep(away_s)
        back_at = time.monotonic()
        await stage.until_ready()
        ends = [await stage.client.final(job_id) for job_id in ids]
        calls = books.calls(stage.ledger)
    report.note(workers=cast.workers, slots_each=cast.slots, lease_s=cast.lease_s)
    report.note(jobs=jobs, in_flight=in_flight, away_s=away_s)
    report.note(all_done_s_after=time.monotonic() - back_at, calls=len(calls))
    report.expect_none("lost", [e["id"] for e in ends if e["status"] != "succeeded"])
    prompts = [call.prompt for call in calls]
    report.expect_none("extra_calls", [p for p in prompts if prompts.count(p) > 1])
    return report


async def _until_in_flight(stage: Stage, most: int) -> int:
    """Wait until as many calls as there may be are under way; return how many."""
    async with asyncio.timeout(60):
        while (begun := len(books.calls(stage.ledger))) < most:
            await asyncio.sleep(_LOOK_S)
    return begun - books.answered(stage.ledger)
