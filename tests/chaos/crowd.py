"""Hundreds follow jobs over lines that are cut all the time, and none is left behind.

Each is cut off at random, comes again with the last id it heard, to the next door, and
must be told everything once, in order, and the end at once. What it is told then is
what everybody reads: a poll at another door is not behind either.
"""

import asyncio
import contextlib
import random
import statistics
import time
from collections.abc import Sequence
from itertools import cycle
from typing import NamedTuple

import aiohttp

from service.job_store import keys
from tests.chaos.doors import Doors, front_doors
from tests.chaos.followers import EACH, is_end, submitted
from tests.chaos.report import Report
from tests.chaos.stage import Cast
from tests.fakes.listener import Frame, listening

_CUTS, _LINE_S, _AGAIN_S = 5, 1.0, 0.05
"""So many lines of each are cut within this, and so soon their client comes again."""
_PATIENCE_S = 300
_ACCOUNT = "default"


class Place(NamedTuple):
    """Where in the stream of events; compares as the stream is ordered."""

    ms: int
    number: int

    @classmethod
    def of(cls, event_id: str) -> "Place":
        ms, _, number = event_id.partition("-")
        return cls(int(ms), int(number))


class _Client:
    """One who follows a job to its end.

    Attributes:
        told: Events in order.
        lines: How many it took.
        ended_at: When the end was heard, in seconds since 1970.
    """

    def __init__(
        self, doors: Doors, job_id: str, secret: str, dice: random.Random
    ) -> None:
        self.job_id, self._secret = job_id, secret
        self._doors, self._dice = doors, dice
        self._urls = cycle(dice.sample(doors.urls, len(doors.urls)))
        self.told: list[Frame] = []
        self.lines, self.ended_at = 0, 0.0
        self.behind: list[str] = []

    def __repr__(self) -> str:
        return f"{self.job_id}: {[(frame.name, frame.id) for frame in self.told]}"

    @property
    def places(self) -> list[Place]:
        return [Place.of(frame.id) for frame in self.told]

    async def follow(self) -> None:
        """Come again until the end was heard; read the job then."""
        while not self.ended_at:
            self.lines += 1
            with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                await self._listen(next(self._urls))
            await asyncio.sleep(_AGAIN_S)
        await self._poll(next(self._urls))

    async def _listen(self, url: str) -> None:
        last_id = self.told[-1].id if self.told else None
        path = f"/v1/jobs/{self.job_id}/events"
        holds_s = self._dice.uniform(0, _LINE_S) if self.lines <= _CUTS else None
        async with listening(url, path, secret=self._secret, last_id=last_id) as heard:
            assert heard.status == 200, (self, heard.status)
            async with asyncio.timeout(holds_s):
                async for frame in heard.events():
                    self.told.append(frame)
                    if is_end(frame):
                        self.ended_at = time.time()
                        return

    async def _poll(self, url: str) -> None:
        """Read the job, and once more if it is another."""
        headers = {"Authorization": f"Bearer {self._secret}"}
        path = f"{url}/v1/jobs/{self.job_id}"
        async with self._doors.session.get(path, headers=headers) as answer:
            job, etag = await answer.json(), answer.headers["ETag"]
        if job["status"] != self.told[-1].data["status"]:
            self.behind.append(f"{self.job_id} is {job['status']} to who polls")
        headers["If-None-Match"] = etag
        async with self._doors.session.get(path, headers=headers) as answer:
            if answer.status != 304:
                self.behind.append(f"{self.job_id} was {answer.status}, not 304")


async def run(
    *, clients: int, jobs: int, late_s: float, seed: int, cast: Cast
) -> Report:
    """Let so many follow so many jobs, at three doors.

    Args:
        clients: At least as many as there are jobs.
        jobs: Submitted before anybody follows.
        late_s: Who hears of an end later than this behind it is late.
        seed: Decides when lines are cut.
        cast: Who plays.
    """
    report = Report(f"followers on bad lines, seed {seed}")
    async with front_doors(cast, count=3) as doors:
        secrets = [(await doors.knows(_ACCOUNT))[1] for _ in range(clients // EACH + 1)]
        ids = await asyncio.gather(*(submitted(doors, n) for n in range(jobs)))
        crowd = [
            _Client(doors, ids[n % jobs], secrets[n // EACH], random.Random(seed + n))
            for n in range(clients)
        ]
        async with asyncio.timeout(_PATIENCE_S), asyncio.TaskGroup() as group:
            for client in crowd:
                group.create_task(client.follow())
        truth = await _truth(doors)
        ends = {job_id: await _ended_at(doors, job_id) for job_id in ids}
    late = [client.ended_at - ends[client.job_id] for client in crowd]
    report.note(clients=clients, jobs=jobs, lines=sum(c.lines for c in crowd))
    report.note(events=sum(len(client.told) for client in crowd))
    report.note(end_p50_ms=statistics.median(late) * 1000, latest_ms=max(late) * 1000)
    report.expect_none("too_late", [s for s in late if s > late_s])
    missed = [c for c in crowd if c.places[1:] != _behind(truth[c.job_id], c.places[0])]
    report.expect_none("not_told_all_in_order", missed)
    report.expect_none(
        "not_told_the_end_once", [c for c in crowd if sum(map(is_end, c.told)) != 1]
    )
    report.expect_none("behind", [fault for c in crowd for fault in c.behind])
    return report


def _behind(places: Sequence[Place], first: Place) -> list[Place]:
    return [place for place in places if place > first]


async def _truth(doors: Doors) -> dict[str, list[Place]]:
    """Return what happened to each job, as the stream itself has it."""
    found: dict[str, list[Place]] = {}
    for event_id, fields in await doors.redis.xrange(keys.events(_ACCOUNT)):
        job_id = fields.get(b"job", b"").decode()
        found.setdefault(job_id, []).append(Place.of(event_id.decode()))
    return found


async def _ended_at(doors: Doors, job_id: str) -> float:
    return int(await doors.redis.hget(keys.job(job_id), "completed_ms")) / 1000
