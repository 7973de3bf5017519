"""Doors and Valkey die under hundreds who follow jobs, and none of them may notice.

Each follows one job, as a browser would: cut off or refused, it comes again with the
last id it heard, to the other front door. One of them follows the whole account.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import cycle, pairwise

import aiohttp

from tests.chaos.doors import Doors, front_doors
from tests.chaos.report import Report
from tests.chaos.stage import MODEL, SECRET, Cast
from tests.fakes.listener import Frame, Heard, listening

_AWAY_S = 0.5
_AGAIN_S = 0.1
_PATIENCE_S = 120
EACH = 50
"""Of them share a key, which may follow a hundred streams at a door."""
_ACCOUNT = "/v1/events?after=0-0"


async def run(*, jobs: int, cast: Cast) -> Report:
    """Let as many follow as there are jobs; kill both doors and Valkey on the way."""
    report = Report("followers")
    async with front_doors(cast) as doors:
        secrets = [(await doors.knows("default"))[1] for _ in range(jobs // EACH + 1)]
        ids = await asyncio.gather(*(submitted(doors, n) for n in range(jobs)))
        followers = [
            Follower(f"/v1/jobs/{job_id}/events", doors, secrets[n // EACH])
            for n, job_id in enumerate(ids)
        ]
        whole = Follower(_ACCOUNT, doors, SECRET)
        async with asyncio.timeout(_PATIENCE_S), asyncio.TaskGroup() as group:
            for follower in followers:
                group.create_task(follower.follow(lambda ends: ends == 1))
            group.create_task(whole.follow(lambda ends: ends == jobs))
            await _kill(doors, whole, jobs)
    report.note(
        jobs=jobs, kills=doors.stage.kills, comings=sum(f.comings for f in followers)
    )
    report.note(events=sum(len(follower.told) for follower in followers))
    for follower in (*followers, whole):
        report.faults += follower.faults
    report.expect_none("not_told_the_end_once", [f for f in followers if f.ends != 1])
    ended = Counter(frame.data["job_id"] for frame in whole.told if is_end(frame))
    report.expect_none(
        "ends_the_account_heard_twice", [i for i in ids if ended[i] != 1]
    )
    return report


async def submitted(doors: Doors, number: int) -> str:
    client = doors.stage.client
    return await client.submit(f"fox {number}", name=f"fox {number}", model=MODEL)


async def _kill(doors: Doors, whole: "Follower", jobs: int) -> None:
    """Kill one after the other, each when another quarter of the jobs is done."""
    stage = doors.stage
    await whole.heard(jobs // 4)
    stage.kill_door()
    await whole.heard(jobs // 2)
    async with stage.without_valkey():
        await asyncio.sleep(_AWAY_S)
    await whole.heard(3 * jobs // 4)
    stage.kill_door()


def is_end(frame: Frame) -> bool:
    return frame.data["status"] in {"succeeded", "failed", "canceled", "expired"}


class Follower:
    """One who follows, and what he was told.

    Attributes:
        comings: How often he came.
        ends: How often he was told that a job has ended.
        faults: What no follower should see.
    """

    def __init__(self, path: str, doors: Doors, secret: str) -> None:
        self._path, self._secret = path, secret
        self._urls: Iterator[str] = cycle(doors.urls)
        self.told: list[Frame] = []
        self.comings = self.ends = 0
        self._moved = asyncio.Event()

    def __repr__(self) -> str:
        return f"{self._path}: {[frame.name for frame in self.told]}"

    @property
    def faults(self) -> list[str]:
        """What came twice, or in the wrong order."""
        ids = [tuple(map(int, frame.id.split("-"))) for frame in self.told]
        return [f"{self._path}: {b} behind {a}" for a, b in pairwise(ids) if a >= b]

    async def heard(self, ends: int) -> None:
        """Return when he was told of so many ends."""
        while self.ends < ends:
            self._moved.clear()
            await self._moved.wait()

    async def follow(self, is_enough: Callable[[int], bool]) -> None:
        """Come again and again until he was told of enough ends."""
        while not is_enough(self.ends):
            last_id = self.told[-1].id if self.told else None
            with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                self.comings += 1
                async with listening(
                    next(self._urls), self._path, secret=self._secret, last_id=last_id
                ) as heard:
                    assert heard.status in {200, 503}, (self, heard.status)
                    if heard.status == 200:
                        await self._listen(heard, is_enough)
            await asyncio.sleep(_AGAIN_S)

    async def _listen(self, heard: Heard, is_enough: Callable[[int], bool]) -> None:
        async for frame in heard.events():
            self.told.append(frame)
            self.ends += is_end(frame)
            self._moved.set()
            if is_enough(self.ends):
                return
