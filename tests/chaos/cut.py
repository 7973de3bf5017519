"""Connections are cut after their requests were accepted, and the SDK tries again.

OpenAI's SDK sends no idempotency key, only a count of its retries, and each of them
comes to the other front door.
"""

import asyncio
import time
from typing import Any, Self

from openai import AsyncOpenAI

from tests.chaos import books
from tests.chaos.doors import Doors, front_doors
from tests.chaos.report import Report
from tests.chaos.stage import MODEL, Cast
from tests.fakes.cutter import Cutter

CUTS = 2
"""As often as the SDK tries again unless it is told otherwise."""
_LOOK_S = 0.02
_PATIENCE_S = 10


async def run(*, callers: int, cast: Cast) -> Report:
    """Let so many call at once, each cut off twice."""
    report = Report("cut connections")
    async with (
        front_doors(cast) as doors,
        AsyncOpenAI(api_key="each has its own") as sdk,
    ):
        calls = [await _Call.by(number, doors, sdk) for number in range(callers)]
        begun = time.monotonic()
        urls = await asyncio.gather(*(call.made() for call in calls))
        took_s = time.monotonic() - begun
        images = await asyncio.gather(*(doors.stage.client.image(url) for url in urls))
        jobs = [job async for job in doors.stage.client.jobs()]
        bought = books.calls(doors.stage.ledger)
    report.note(callers=callers, upstream_latency_ms=cast.latency_ms, took_s=took_s)
    report.note(connections=sum(call.cutter.connections for call in calls))
    report.note(jobs=len(jobs), calls=len(bought), images=len(set(images)))
    report.expect_none("callers_not_cut_twice", [c for c in calls if not c.was_cut])
    for what, count in (("jobs", jobs), ("calls", bought), ("images", set(images))):
        report.expect(
            that=len(count) == callers,
            otherwise=f"{len(count)} {what} for {callers} callers",
        )
    return report


class _Call:
    """One call of the SDK through a line of its own, which is cut."""

    def __init__(
        self, number: int, doors: Doors, sdk: AsyncOpenAI, *, key_id: str, secret: str
    ) -> None:
        self._doors, self._prompt = doors, f"caller {number}"
        self._sdk, self._secret = sdk, secret
        self._calls = f"darkroom:calls:{key_id}:*"
        self.cutter = Cutter(doors.urls, cuts=CUTS, accepted=self._accepted)

    @classmethod
    async def by(cls, number: int, doors: Doors, sdk: AsyncOpenAI) -> Self:
        """Return a call with a key of its own, which tells its retries from others."""
        key, secret = await doors.knows("default")
        return cls(number, doors, sdk, key_id=key.id, secret=secret)

    @property
    def was_cut(self) -> bool:
        return self.cutter.connections == CUTS + 1

    async def made(self) -> str:
        """Return the link to the image that the SDK came home with."""
        async with self.cutter:
            client = self._sdk.with_options(
                base_url=f"{self.cutter.url}/v1", api_key=self._secret
            )
            made: Any = await client.images.generate(model=MODEL, prompt=self._prompt)
        [image] = made.data
        return str(image.url)

    async def _accepted(self, number: int) -> None:
        """Wait until the job runs, or its retry of that number has joined it."""
        deadline = time.monotonic() + _PATIENCE_S  # a retry may have joined nothing
        while not (self._is_bought() and await self._has_joined(number)):
            if time.monotonic() > deadline:
                return
            await asyncio.sleep(_LOOK_S)

    def _is_bought(self) -> bool:
        bought = books.calls(self._doors.stage.ledger)
        return self._prompt in {call.prompt for call in bought}

    async def _has_joined(self, number: int) -> bool:
        redis = self._doors.redis
        joined = [
            int(call.split()[1])
            for name in await redis.keys(self._calls)
            for call in await redis.hvals(name)
        ]
        return number in joined
