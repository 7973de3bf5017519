"""One job kills whatever worker touches it, among many that are innocent."""

import asyncio
import time

from tests.chaos.report import Report
from tests.chaos.stage import MODEL, POISON, Cast, on_stage


async def run(*, jobs: int, cast: Cast) -> Report:
    """Submit `jobs`, one of them poison, to workers that are started again."""
    report = Report("poison")
    async with on_stage(cast) as stage:
        keeper = asyncio.create_task(stage.keep_workers_up())
        begun = time.monotonic()
        ids = [
            await stage.client.submit(
                f"one of {jobs}, {number}",
                name=f"poison-{number}",
                model=POISON if number == jobs // 2 else MODEL,
            )
            for number in range(jobs)
        ]
        poison_id = ids.pop(jobs // 2)
        innocents = [await stage.client.final(job_id) for job_id in ids]
        innocents_s = time.monotonic() - begun
        poison = await stage.client.final(poison_id)
        keeper.cancel()
    code = (poison["error"] or {}).get("code")
    report.note(workers=cast.workers, slots_each=cast.slots, lease_s=cast.lease_s)
    report.note(jobs=jobs, workers_killed_by_it=stage.deaths)
    report.note(innocents_interrupted=sum(len(j["attempts"]) > 1 for j in innocents))
    report.note(innocents_s=innocents_s, all_s=time.monotonic() - begun)
    report.expect_none(
        "innocents_lost", [j["id"] for j in innocents if j["status"] != "succeeded"]
    )
    report.note(poison=f"{poison['status']}, {code}")
    report.expect(
        that=(poison["status"], code) == ("failed", "poison"),
        otherwise="the poison was not parked",
    )
    return report
