"""Two versions on one queue: half of the front doors and workers are of another one.

The other version is this one with a higher version of records, or an older commit.
Whoever wrote a job down, it is made; what only one side can read, that side makes.
"""

import asyncio
import itertools
import math
import random
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from service.core.jobs import JobState
from service.job_store import keys
from service.job_store.records import VERSION
from tests.chaos import books
from tests.chaos.client import Client
from tests.chaos.doors import door, until_open
from tests.chaos.editions import earlier, later
from tests.chaos.program import Program
from tests.chaos.report import Report
from tests.chaos.stage import MODEL, SECRET, Cast, Stage, on_stage

_LATER = keys.wait(f"version:{VERSION + 1}")
_LOOK_S = 0.05
_WITHIN_S = 60


@dataclass
class _Side:
    """The processes of one version.

    Attributes:
        pids: Of all its workers, those that were killed too.
        jobs: Ids of what its front door accepted.
    """

    client: Client
    workers: Sequence[Program]
    pids: set[int] = field(default_factory=set)
    jobs: list[str] = field(default_factory=list)

    def note_pids(self) -> None:
        self.pids |= {worker.pid for worker in self.workers}

    def kill_one(self, dice: random.Random) -> None:
        victim = dice.choice(self.workers)
        victim.kill()
        victim.start()
        self.note_pids()

    def live_pids(self) -> set[int]:
        return {worker.pid for worker in self.workers}

    async def submit(self, names: Sequence[str]) -> None:
        ids = [
            self.client.submit(name, name=name, model=MODEL) for name in sorted(names)
        ]
        self.jobs += await asyncio.gather(*ids)


async def beside_later(
    *, jobs: int, kills: int, seed: int, cast: Cast, folder: Path
) -> Report:
    """Run this version beside a later one, whose records it cannot read.

    Args:
        jobs: How many, half of them to each front door.
        kills: How many workers are killed meanwhile, of either side in turn.
        seed: Decides which.
        cast: Who plays, once for each side.
        folder: Empty; takes the other version.
    """
    report = Report(f"beside a later version, seed {seed}")
    async with AsyncExitStack() as stack:
        stage = await stack.enter_async_context(on_stage(cast))
        ours, theirs = await _sides(stack, stage, later(folder))
        await _play(stage, ours, theirs, jobs=jobs, kills=kills, seed=seed)
        await _judge(report, stage, (ours, theirs), kills=kills)
        report.expect_none("read_by_an_earlier_worker", await _misread(stage, ours))
        await _roll_back(report, stage, ours, theirs, jobs=cast.all_slots)
    return report


async def beside_earlier(
    *, commit: str, jobs: int, kills: int, seed: int, cast: Cast, folder: Path
) -> Report:
    """Run this version beside one that was; see `beside_later`."""
    report = Report(f"beside {commit}, seed {seed}")
    async with AsyncExitStack() as stack:
        stage = await stack.enter_async_context(on_stage(cast))
        ours, theirs = await _sides(stack, stage, earlier(folder, commit))
        await _play(stage, ours, theirs, jobs=jobs, kills=kills, seed=seed)
        await _judge(report, stage, (ours, theirs), kills=kills)
    return report


async def _sides(
    stack: AsyncExitStack, stage: Stage, other: Path
) -> tuple[_Side, _Side]:
    """Start the other version beside ours; return both."""
    variables = {"PYTHONPATH": str(other)}
    session = await stack.enter_async_context(
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60))
    )
    front, url = door(stage, stack, "other-door", **variables)
    workers = [
        stage.program(f"other-worker{number}", "workers", **variables)
        for number in range(stage.cast.workers)
    ]
    for program in (front, *workers):
        program.start()
    await until_open(session, url)
    ours = _Side(stage.client, stage.workers)
    theirs = _Side(Client(session, url, secret=SECRET), workers)
    for side in (ours, theirs):
        side.note_pids()
    await _until_at_work(stage, ours.pids | theirs.pids)
    return ours, theirs


async def _until_at_work(stage: Stage, pids: set[int]) -> None:
    async with asyncio.timeout(_WITHIN_S):
        while True:
            names = await stage.redis.zrange(keys.WORKERS, 0, -1)
            if pids <= {int(name.split(b":")[-2]) for name in names}:
                return
            await asyncio.sleep(_LOOK_S)


async def _play(
    stage: Stage, ours: _Side, theirs: _Side, *, jobs: int, kills: int, seed: int
) -> None:
    """Submit to both, kill of both, and wait until all is final, at either door."""
    dice = random.Random(seed)
    parts = [[f"fox {n}" for n in range(at, jobs, 2)] for at in range(2)]
    size = math.ceil(len(parts[0]) / (kills + 1))
    victims = itertools.cycle((ours, theirs))
    for begin in range(0, len(parts[0]), size):
        if begin:
            victim = next(victims)
            victim.kill_one(dice)
            # The other side would be through with it all meanwhile.
            await _until_at_work(stage, victim.live_pids())
        for side, names in zip((ours, theirs), parts, strict=True):
            await side.submit(names[begin : begin + size])
    # Each asks at the other's door.
    ends = [theirs.client.final(job_id) for job_id in ours.jobs]
    ends += [ours.client.final(job_id) for job_id in theirs.jobs]
    await asyncio.gather(*ends)


async def _judge(
    report: Report, stage: Stage, sides: Sequence[_Side], *, kills: int
) -> None:
    ids = [job_id for side in sides for job_id in side.jobs]
    bound = len(ids) + kills * stage.cast.slots
    found = await _fields(stage, ids, "state", "worker", "attempts")
    runs = Counter(
        "ours" if int(worker.split(":")[-2]) in sides[0].pids else "theirs"
        for _, worker, _ in found.values()
    )
    calls = len(books.calls(stage.ledger))
    report.note(workers_each=stage.cast.workers, kills=kills, jobs=len(ids))
    report.note(run_by_ours=runs["ours"], run_by_theirs=runs["theirs"])
    report.expect_none(
        "not_made", [i for i, (state, *_) in found.items() if state != "succeeded"]
    )
    report.expect_none(
        "attempts_consumed",
        [i for i, (_, _, attempts) in found.items() if int(attempts or 0) > 1],
    )
    report.note(calls=calls, calls_at_most=bound)
    report.expect(that=calls <= bound, otherwise=f"{calls} calls, {bound} allowed")
    report.expect(that=min(runs.values()) > 0, otherwise="one side did nothing")
    report.expect(that=len(runs) == len(sides), otherwise="one side did nothing")


async def _misread(stage: Stage, ours: _Side) -> list[str]:
    """Return jobs of the later version that one of our workers had."""
    found = await _fields(stage, await _all_ids(stage), "v", "worker")
    return [
        job_id
        for job_id, (version, worker) in found.items()
        if version and int(worker.split(":")[-2]) in ours.pids
    ]


async def _roll_back(
    report: Report, stage: Stage, ours: _Side, theirs: _Side, *, jobs: int
) -> None:
    """End the later workers: what only they read waits, uncounted, until they come."""
    for worker in theirs.workers:
        worker.stop()
    ours.jobs, theirs.jobs = [], []
    await theirs.submit([f"hare {n}" for n in range(jobs)])
    await ours.submit([f"wolf {n}" for n in range(jobs)])
    await asyncio.gather(*(ours.client.final(job_id) for job_id in ours.jobs))
    async with asyncio.timeout(_WITHIN_S):
        while (waiting := await stage.redis.zcard(_LATER)) < jobs:
            await asyncio.sleep(_LOOK_S)
    found = await _fields(stage, theirs.jobs, "state", "fence")
    begun_at = time.monotonic()
    for worker in theirs.workers:
        worker.start()
    ends = await asyncio.gather(*map(ours.client.final, theirs.jobs))
    report.note(waited_for_later_workers=waiting)
    report.note(made_after_s=time.monotonic() - begun_at)
    report.expect_none(
        "touched_meanwhile",
        [i for i, seen in found.items() if seen != (JobState.QUEUED, "0")],
    )
    report.expect_none(
        "not_made_in_the_end", [e["id"] for e in ends if e["status"] != "succeeded"]
    )


async def _all_ids(stage: Stage) -> list[str]:
    listed = await stage.redis.zrange(keys.jobs_of("default"), 0, -1)
    return [job_id.decode() for job_id in listed]


async def _fields(
    stage: Stage, ids: Sequence[str], *names: str
) -> dict[str, tuple[str, ...]]:
    """Return these fields of each record; an absent one is empty."""
    async with stage.redis.pipeline(transaction=False) as pipe:
        for job_id in ids:
            pipe.hmget(keys.job(job_id), *names)
        rows = await pipe.execute()
    return {
        job_id: tuple((value or b"").decode() for value in row)
        for job_id, row in zip(ids, rows, strict=True)
    }
