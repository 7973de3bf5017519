"""The run that everything is killed in: workers, Valkey and the front door.

The world around is rough meanwhile: the store errs and hangs, and the provider does
what providers do. A job that does not succeed is lost, whatever the reason.
"""

import asyncio
import random
import statistics
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from itertools import count
from pathlib import Path

from service.accounts import Accounts, ApiKey, Grant, Scope
from service.settings import Limits
from tests.chaos import books
from tests.chaos.recovery import Recoveries
from tests.chaos.report import Report
from tests.chaos.rough import Rough
from tests.chaos.stage import MODEL, Cast, Stage, on_stage
from tests.chaos.watch import Watcher, watching

PROMPTS = Path(__file__).parents[1] / "data" / "partiprompts.tsv"
ROUGH = Rough(upstream=0.1, errors=0.3, hangs=0.05)
RECOVERED_WITHIN_S = 20

_AWAY_S = (0.6, 1.5)
_SUBMITTED_OVER = 0.6
"""Of the time that the upstream takes at least: the door dies among submissions."""
_SUBMITTERS = 64
_STUCK_S = 180
_LOOK_S = 0.2
_LEAST = 2
_UNITS = 5_000
"""What one image is charged to its key."""


@dataclass(frozen=True, kw_only=True)
class Pace:
    """Seconds from kill to kill; None: that one is spared."""

    worker_s: float | None = 2
    valkey_s: float | None = 30
    door_s: float | None = 45


def read_prompts(path: Path, most: int) -> list[str]:
    """Return the first column of a table whose quotes mean nothing.

    When all have been, they come again with a number behind them: two jobs never share
    a prompt, by which calls upstream are told apart.
    """
    lines = path.read_text(encoding="utf-8").split("\n")[1:]
    prompts = [line.split("\t")[0] for line in lines if line]
    return [prompt for prompt, _ in zip(_numbered(prompts), range(most), strict=False)]


def _numbered(prompts: Sequence[str]) -> Iterator[str]:
    yield from prompts
    for turn in count(2):
        yield from (f"{prompt} ({turn})" for prompt in prompts)


class Killings:
    """One run: submits, kills, watches, and says how it went."""

    def __init__(
        self,
        stage: Stage,
        watcher: Watcher,
        *,
        prompts: Sequence[str],
        secret: str,
        pace: Pace,
        seed: int,
    ) -> None:
        self._stage, self._watcher, self._prompts = stage, watcher, prompts
        self._client = stage.client.using(secret)
        self._pace, self._seed = pace, seed
        self._gate = asyncio.Semaphore(_SUBMITTERS)
        self.recoveries = Recoveries(stage.redis)
        self.jobs: dict[str, str] = {}  # prompts to job ids, as accepted

    @property
    def submissions(self) -> int:
        """How many were sent, repeats included."""
        return self._client.asked

    async def play(self) -> None:
        """Return when all is final, or nothing moves any more."""
        pace, kill_worker = self._pace, self._kill_worker
        killers = (
            self._again(pace.worker_s, kill_worker, random.Random(self._seed)),
            self._again(
                pace.valkey_s, self._kill_valkey, random.Random(self._seed + 1)
            ),
            self._again(pace.door_s, self._kill_door, random.Random(self._seed + 2)),
            self._stage.keep_workers_up(),
        )
        tasks = [asyncio.create_task(killer) for killer in killers]
        try:
            async with asyncio.TaskGroup() as group:
                for number, prompt in enumerate(self._prompts):
                    group.create_task(self._submit(number, prompt))
            await self._until_final()
        finally:
            for task in tasks:
                task.cancel()
            ends = await asyncio.gather(*tasks, return_exceptions=True)
        for end in ends:
            if isinstance(end, Exception):
                raise end

    async def _submit(self, number: int, prompt: str) -> None:
        spread_s = _SUBMITTED_OVER * len(self._prompts) / self._stage.cast.jobs_per_s
        await asyncio.sleep(spread_s * number / len(self._prompts))
        async with self._gate:
            self.jobs[prompt] = await self._client.submit(
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

    async def _again(
        self,
        period_s: float | None,
        kill: Callable[[random.Random], Awaitable[None]],
        dice: random.Random,
    ) -> None:
        """Kill every so often until canceled; what is awaited meanwhile counts."""
        due = time.monotonic()
        while period_s is not None:
            due = max(due + period_s, time.monotonic())
            await asyncio.sleep(due - time.monotonic())
            await kill(dice)

    async def _kill_worker(self, dice: random.Random) -> None:
        """Kill one of those at work, of whom another is left: not one that starts."""
        while len(at_work := await self._stage.at_work()) < _LEAST:
            await asyncio.sleep(_LOOK_S)
        number = dice.choice(at_work)
        pid = self._stage.workers[number].pid
        self._stage.kill_worker(number)
        await self.recoveries.mourn(pid)

    async def _kill_door(self, _: random.Random) -> None:
        await self._until_open()
        self._stage.kill_door()

    async def _until_open(self) -> None:
        """Wait until the last of these kills was got over."""
        while (await self._client.readiness()).status != HTTPStatus.OK:
            await asyncio.sleep(_LOOK_S)

    async def _kill_valkey(self, dice: random.Random) -> None:
        """A worker dies in its absence: only then are results stored and not told."""
        await self._until_open()
        self.recoveries.without_valkey()
        async with self._stage.without_valkey():
            await asyncio.sleep(dice.uniform(*_AWAY_S))
            self._stage.kill_worker(dice.randrange(len(self._stage.workers)))


async def run(
    prompts: Sequence[str],
    *,
    seed: int,
    cast: Cast,
    pace: Pace = Pace(),
    rough: Rough | None = ROUGH,
    folder: Path | None = None,
) -> Report:
    """Make an image of each prompt while everything is being killed."""
    report = Report(f"kills, seed {seed}")
    begun = time.monotonic()
    async with (
        on_stage(cast, folder=folder, rough=rough) as stage,
        watching(stage.valkey.url) as watcher,
    ):
        key, secret = await _funded(stage, len(prompts))
        killings = Killings(
            stage, watcher, prompts=prompts, secret=secret, pace=pace, seed=seed
        )
        started = time.monotonic()
        await killings.play()
        report.note(
            workers=cast.workers,
            slots_each=cast.slots,
            lease_s=cast.lease_s,
            upstream_latency_ms=cast.latency_ms,
            upstream_patience_s=cast.patience_s,
            jobs=len(prompts),
            submissions_sent=killings.submissions,
            **{f"{victim}_kills": kills for victim, kills in stage.kills.items()},
            workers_died_alone=stage.deaths,
            run_s=time.monotonic() - started,
        )
        if rough is not None:
            report.note(store_errors=rough.errors, store_hangs=rough.hangs)
            await stage.calm_the_store()
        await stage.until_ready()
        await _settle(report, stage, watcher, killings)
        await _audit(report, stage, watcher, key)
    report.note(total_s=time.monotonic() - begun)
    return report


async def _funded(stage: Stage, images: int) -> tuple[ApiKey, str]:
    """Return a key whose quota is spent to the last unit when no image is lost."""
    grant = Grant(
        account="default", scopes=frozenset(Scope), quota_units=images * _UNITS
    )
    return await Accounts(stage.redis, Limits()).create(grant)


async def _settle(
    report: Report, stage: Stage, watcher: Watcher, killings: Killings
) -> None:
    await watcher.look()
    jobs = killings.jobs
    ids = {job_id: prompt for prompt, job_id in jobs.items()}
    gallery = await books.visit(stage.client, prompts=ids)
    succeeded = {i for i, seen in watcher.seen.items() if seen.state == "succeeded"}
    times = [seen.took_s for seen in watcher.seen.values() if seen.state.is_final]
    report.note(job_median_s=statistics.median(times), job_longest_s=max(times))
    _note_recoveries(report, watcher, killings.recoveries)
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


def _note_recoveries(report: Report, watcher: Watcher, recoveries: Recoveries) -> None:
    interruptions = [seen.interruptions for seen in watcher.seen.values()]
    waits = sorted(recoveries.seconds(watcher))
    report.note(interrupted=sum(n > 0 for n in interruptions))
    report.note(most_interruptions_of_a_job=max(interruptions))
    report.note(recoveries=len(waits))
    if not waits:
        return
    report.note(
        recovery_median_s=statistics.median(waits), recovery_longest_s=waits[-1]
    )
    report.expect(
        that=waits[-1] <= RECOVERED_WITHIN_S,
        otherwise=f"{sum(w > RECOVERED_WITHIN_S for w in waits)} jobs of dead workers "
        f"waited for more than {RECOVERED_WITHIN_S} s",
    )


async def _audit(report: Report, stage: Stage, watcher: Watcher, key: ApiKey) -> None:
    """Compare what was called and what was charged with what the records say."""
    made = sum(seen.state == "succeeded" for seen in watcher.seen.values())
    spoiled = books.failed(stage.ledger)
    calls = len(books.calls(stage.ledger)) - spoiled
    deaths = stage.kills["worker"] + stage.deaths
    bound = len(watcher.seen) + deaths * stage.cast.slots
    report.note(calls_that_were_to_fail=spoiled, other_calls=calls)
    report.note(other_calls_at_most=bound, calls_answered=books.answered(stage.ledger))
    report.expect(that=calls <= bound, otherwise=f"{calls} calls, {bound} allowed")
    balance = await Accounts(stage.redis, Limits()).balance(key)
    drift = balance.used - made * _UNITS
    report.note(quota_drift_units=drift, quota_still_reserved=balance.reserved)
    report.expect(
        that=(drift, balance.reserved) == (0, 0), otherwise=f"a drift of {balance}"
    )
