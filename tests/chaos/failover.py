"""The first provider fails every call for a while; the second has all the jobs.

Jobs come at an even pace before, during and after it. What the breaker did is read
from the ledgers of both upstreams.
"""

import asyncio
import time

import aiohttp

from tests.chaos import books
from tests.chaos.report import Report
from tests.chaos.stage import Cast, Stage, on_stage

MODEL = "chaos/failover"
_CATALOG = """
[providers.primary]
adapter = "openai"
base_url = "{primary}"
api_key_env = "UPSTREAM_API_KEY"
[providers.second]
adapter = "openai"
base_url = "{second}"
api_key_env = "UPSTREAM_API_KEY"
[models."chaos/failover"]
routes = ["primary/gpt-image-1", "second/gpt-image-1"]
sizes = ["1024x1024"]
"""
_MOST_UNTIL_OPEN = 10
_MOST_WHILE_OPEN = 0.05
_BEFORE, _AFTER = 0.1, 0.3
"""Parts of the jobs that come before and after the failure."""
_LONGEST_OPEN_S = 60


async def run(*, jobs: int, down_s: float, cast: Cast) -> Report:
    """Submit `jobs` jobs, so that most of them come while the primary is down."""
    report = Report(f"failover, {down_s:g} s down")
    others = {name: _command(name, cast) for name in ("primary", "second")}
    async with on_stage(cast, others=others, catalog=_CATALOG) as stage:
        run = _Run(stage, jobs=jobs, down_s=down_s)
        ends = await run.play()
        closed_s = await run.until_closed()
        calls = {name: books.calls(run.ledger(name)) for name in others}
    report.note(workers=cast.workers, slots_each=cast.slots, jobs=jobs, down_s=down_s)
    report.expect_none("lost", [e["id"] for e in ends if e["status"] != "succeeded"])
    attempts = [len(end["attempts"]) for end in ends]
    dead = [c for c in calls["primary"] if run.down_ms <= c.received_ms < run.up_ms]
    report.note(calls_to_the_dead=len(dead), most_attempts=max(attempts))
    alive = [c for c in calls["second"] if run.down_ms <= c.received_ms < run.up_ms]
    begun = dead[: run.failed_until_open]
    report.note(failed_until_open=run.failed_until_open)
    while_open = len(dead) - len(begun)
    share = while_open / max(1, while_open + len(alive))
    report.note(calls_while_open=while_open + len(alive), share_of_the_dead=share)
    report.note(closed_s_after_recovery=closed_s)
    report.expect(
        that=0 < run.failed_until_open <= _MOST_UNTIL_OPEN,
        otherwise=f"the breaker opened after {run.failed_until_open} failed calls",
    )
    report.expect(that=share < _MOST_WHILE_OPEN, otherwise=f"{share:.1%} to the dead")
    report.expect(
        that=closed_s <= _LONGEST_OPEN_S, otherwise=f"closed after {closed_s:.1f} s"
    )
    return report


class _Run:
    """One run.

    Attributes:
        down_ms: When the primary broke down, by the wall clock.
        up_ms: When it was well again.
        failed_until_open: Calls it had got when the breaker was seen open.
    """

    def __init__(self, stage: Stage, *, jobs: int, down_s: float) -> None:
        self._stage, self._jobs, self._down_s = stage, jobs, down_s
        self.down_ms = self.up_ms = 0.0
        self.failed_until_open = 0

    def ledger(self, name: str):
        return self._stage.folder / f"{name}.jsonl"

    async def play(self) -> list[dict]:
        """Submit all, break the primary down meanwhile, and return the ends."""
        pause_s = self._down_s / (self._jobs * (1 - _BEFORE - _AFTER))
        ends = [
            asyncio.create_task(self._one(number, number * pause_s))
            for number in range(self._jobs)
        ]
        await asyncio.sleep(_BEFORE * self._jobs * pause_s)
        await self._break_down("status:503")
        self.down_ms = time.time() * 1000
        broken = time.monotonic()
        await self._until_open()
        await asyncio.sleep(broken + self._down_s - time.monotonic())
        self.up_ms = time.time() * 1000
        await self._break_down("")
        return await asyncio.gather(*ends)

    async def until_closed(self) -> float:
        """Submit until the primary has drawn again; return seconds since recovery."""
        number = self._jobs
        while not any(c.received_ms >= self.up_ms for c in self._primary()):
            await self._one(number, 0.1)
            number += 1
        first = next(c for c in self._primary() if c.received_ms >= self.up_ms)
        return (first.received_ms - self.up_ms) / 1000

    async def _until_open(self) -> None:
        key = "darkroom:route:primary/gpt-image-1"
        async with asyncio.timeout(30):
            while await self._failures(key) < 5:
                await asyncio.sleep(0.002)
        self.failed_until_open = sum(
            call.received_ms >= self.down_ms for call in self._primary()
        )

    async def _failures(self, key: str) -> int:
        return int(await self._stage.redis.hget(key, "failures") or 0)

    def _primary(self) -> list[books.Call]:
        return books.calls(self.ledger("primary"))

    async def _one(self, number: int, wait_s: float) -> dict:
        await asyncio.sleep(wait_s)
        prompt = f"a fox, number {number}"
        job_id = await self._stage.client.submit(prompt, name=prompt, model=MODEL)
        return await self._stage.client.final(job_id)

    async def _break_down(self, fault: str) -> None:
        await control(self._stage, "primary", fault)


async def control(stage: Stage, name: str, fault: str) -> None:
    """Let every call meet a fault from now on; an empty one ends that."""
    url = f"{stage.origin(name)}/control/down"
    async with (
        aiohttp.ClientSession() as session,
        session.post(url, json={"fault": fault}) as answer,
    ):
        assert answer.status == 200


def _command(name: str, cast: Cast) -> tuple[str, ...]:
    return (
        *("tests.fakes.openai_upstream", "--thumbnails"),
        *("--latency-ms", str(cast.latency_ms)),
        *("--ledger", f"{{folder}}/{name}.jsonl"),
    )
