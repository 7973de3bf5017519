"""Some jobs kill whatever worker touches them, among many that are innocent."""

import asyncio
import contextlib
import time

from tests.chaos.report import Report
from tests.chaos.stage import MODEL, POISON, Cast, on_stage

DEATHS_EACH = 5
"""Workers that one of them may take along."""


async def run(*, jobs: int, poisons: int, cast: Cast) -> Report:
    """Submit `jobs`, so many of them poison, to workers that are started again."""
    report = Report("poison")
    every = jobs // poisons
    async with on_stage(cast) as stage:
        keeper = asyncio.create_task(stage.keep_workers_up())
        begun = time.monotonic()
        ids = [
            await stage.client.submit(
                f"one of {jobs}, {number}",
                name=f"poison-{number}",
                model=POISON if number % every == every // 2 else MODEL,
            )
            for number in range(jobs)
        ]
        bad = ids[every // 2 :: every]
        innocents = [await stage.client.final(i) for i in ids if i not in bad]
        innocents_s = time.monotonic() - begun
        parked = [await stage.client.final(job_id) for job_id in bad]
        keeper.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await keeper
    report.note(workers=cast.workers, slots_each=cast.slots, lease_s=cast.lease_s)
    report.note(jobs=jobs, poisons=len(bad), workers_killed_by_them=stage.deaths)
    report.note(innocents_interrupted=sum(len(j["attempts"]) > 1 for j in innocents))
    report.note(innocents_s=innocents_s, all_s=time.monotonic() - begun)
    report.expect_none(
        "innocents_lost", [j["id"] for j in innocents if j["status"] != "succeeded"]
    )
    ends = [(job["status"], (job["error"] or {}).get("code")) for job in parked]
    report.expect_none("not_parked", [e for e in ends if e != ("failed", "poison")])
    report.expect(
        that=stage.deaths <= DEATHS_EACH * len(bad),
        otherwise=f"{stage.deaths} workers died over {len(bad)} jobs",
    )
    return report
