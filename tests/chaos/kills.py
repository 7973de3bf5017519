"""The run that everything is killed in: workers, Valkey and the front door."""

import asyncio
import random
import statistics
import time
from collections.abc import Sequence
from operator import itemgetter
from pathlib import Path

from tests.chaos import books
from tests.chaos.report import Report
from tests.chaos.stage import MODEL, Cast, Stage, on_stage
from tests.chaos.watch import Watcher, watching

PROMPTS = Path(__file__).parents[1] / "data" / "partiprompts.tsv"

WORKER_EVERY_S = 2.0
_VALKEY_AT = ((0.1, 0.3), (0.4, 0.6), (0.7, 0.9))
_DOOR_AT = ((0.15, 0.25), (0.3, 0.45))
"""When they are killed, in parts of the progress; within these the seed decides."""
_AWAY_S = (0.6, 1.5)
_SUBMITTED_OVER = 0.6
"""Of the time that the upstream takes at least: the door dies among submissions."""
_SUBMITTERS = 64
_STUCK_S = 90
_LOOK_S = 0.2


def read_prompts(path: Path, most: int) -> list[str]:
    """Return the first column of a table whose quotes mean nothing."""
    lines = path.read_text(encoding="utf-8").split("\n")[1:]
    return [line.split("\t")[0] for line in lines if line][:most]


class Killings:
    """One run: submits, kills, watches, and says how it went."""

    def __init__(
        self, stage: Stage, watcher: Watcher, *, prompts: Sequence[str], seed: int
    ) -> None:
        self._stage, self._watcher, self._prompts = stage, watcher, prompts
        self._seed, self._rng = seed, random.Random(seed)
        self._gate = asyncio.Semaphore(_SUBMITTERS)
        self.jobs: dict[str, str] = {}  # prompts to job ids, as accepted

    @property
    def _progress(self) -> float:
        done = len(self.jobs) + self._watcher.finished
        return done / (2 * len(self._prompts))

    async def play(self) -> None:
        """Return when all is final, or nothing moves any more."""
        killers = [
            asyncio.create_task(kill())
            for kill in (self._kill_workers, self._kill_the_rest)
        ]
        keeper = asyncio.create_task(self._stage.keep_workers_up())
        try:
            async with asyncio.TaskGroup() as group:
                for number, prompt in enumerate(self._prompts):
                    group.create_task(self._submit(number, prompt))
            await self._until_final()
        finally:
            for task in (*killers, keeper):
                task.cancel()
            ends = await asyncio.gather(*killers, keeper, return_exceptions=True)
        for end in ends:
            if isinstance(end, Exception):
                raise end

    async def _submit(self, number: int, prompt: str) -> None:
        spread_s = _SUBMITTED_OVER * len(self._prompts) / self._stage.cast.jobs_per_s
        await asyncio.sleep(spread_s * number / len(self._prompts))
        async with self._gate:
            self.jobs[prompt] = await self._stage.client.submit(
                prompt, name=f"chaos-{self._seed}-{number}", model=MODEL
            )

    async def _until_final(self) -> None:
        moved_at, before = time.monotonic(), -1
        while (finished := self._watcher.finished) < len(self._prompts):
            if finished > before:
                moved_at, before = time.monotonic(), finished
            if time.monotonic() - moved_at > _STUCK_S:
                return
            await asyncio.sleep(_LOOK_S)

    async def _kill_workers(self) -> None:
        while True:
            await asyncio.sleep(WORKER_EVERY_S)
            self._stage.kill_worker(self._rng.randrange(len(self._stage.workers)))

    async def _kill_the_rest(self) -> None:
        dice = random.Random(self._seed + 1)  # of its own: workers die at other times
        plan = [(dice.uniform(*at), self._kill_valkey) for at in _VALKEY_AT]
        plan += [(dice.uniform(*at), self._kill_door) for at in _DOOR_AT]
        for progress, kill in sorted(plan, key=itemgetter(0)):
            while self._progress < progress:
                await asyncio.sleep(_LOOK_S / 4)
            await kill(dice)

    async def _kill_door(self, _: random.Random) -> None:
        self._stage.kill_door()

    async def _kill_valkey(self, dice: random.Random) -> None:
        """A worker dies in its absence: only then are results stored and not told."""
        async with self._stage.without_valkey():
            await asyncio.sleep(dice.uniform(*_AWAY_S))
            self._stage.kill_worker(dice.randrange(len(self._stage.workers)))


async def run(
    prompts: Sequence[str], *, seed: int, cast: Cast, folder: Path | None = None
) -> Report:
    """Make an image of each prompt while everything is being killed."""
    report = Report(f"kills, seed {seed}")
    begun = time.monotonic()
    async with (
        on_stage(cast, folder=folder) as stage,
        watching(stage.valkey.url) as watcher,
    ):
        killings = Killings(stage, watcher, prompts=prompts, seed=seed)
        started = time.monotonic()
        await killings.play()
        report.note(
            seed=seed,
            workers=cast.workers,
            slots_each=cast.slots,
            lease_s=cast.lease_s,
            upstream_latency_ms=cast.latency_ms,
            jobs=len(prompts),
            submissions_sent=stage.client.asked,
            **{f"{victim}_kills": count for victim, count in stage.kills.items()},
            workers_died_alone=stage.deaths,
            run_s=time.monotonic() - started,
        )
        await stage.until_ready()
        await _settle(report, stage, watcher, killings.jobs)
    report.note(total_s=time.monotonic() - begun)
    return report


async def _settle(
    report: Report, stage: Stage, watcher: Watcher, jobs: dict[str, str]
) -> None:
    await watcher.look()
    ids = {job_id: prompt for prompt, job_id in jobs.items()}
    gallery = await books.visit(stage.client, prompts=ids)
    succeeded = {i for i, seen in watcher.seen.items() if seen.state == "succeeded"}
    calls = len(books.calls(stage.ledger))
    bound = len(jobs) + (stage.kills["worker"] + stage.deaths) * stage.cast.slots
    times = [seen.took_s for seen in watcher.seen.values() if seen.state.is_final]
    report.note(job_median_s=statistics.median(times), job_longest_s=max(times))
    report.note(interrupted=sum(s.interruptions > 0 for s in watcher.seen.values()))
    report.note(longest_from_claim_to_claim_s=watcher.longest_gap_s())
    report.expect_none("lost", ids.keys() - succeeded)
    report.expect_none("jobs_nobody_submitted", watcher.seen.keys() - ids.keys())
    report.expect_none("states_going_backwards", watcher.backwards)
    report.expect_none(
        "second_finals", [i for i, told in watcher.finals.items() if told > 1]
    )
    report.expect_none("finals_untold", watcher.seen.keys() - watcher.finals.keys())
    report.expect_none(
        "calls_after_the_image_was_stored",
        books.late_calls(stage.ledger, images=stage.images, jobs=jobs, watcher=watcher),
    )
    report.expect_none("images_wrong", gallery.wrong)
    report.note(images_distinct=gallery.distinct)
    report.expect(
        that=gallery.distinct == len(jobs),
        otherwise=f"{gallery.distinct} distinct images of {len(jobs)} jobs",
    )
    report.note(calls=calls, calls_at_most=bound)
    report.note(calls_answered=books.answered(stage.ledger))
    report.expect(that=calls <= bound, otherwise=f"{calls} calls, {bound} allowed")
