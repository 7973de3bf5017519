"""A worker stands still, or cut off, for longer than its leases, and then goes on.

Whoever took over has made all its jobs by then; what it still writes must change
nothing. Stopped by a signal it wakes to hear that it is fenced off; cut off from
Valkey it has finished meanwhile, and every commit of its own comes too late.
"""

import asyncio
import contextlib
import json
import signal
from collections.abc import AsyncIterator
from typing import Literal

from redis.asyncio import Redis

from service.job_store import keys
from tests.chaos import books
from tests.chaos.report import Report
from tests.chaos.stage import MODEL, Cast, Stage, on_stage
from tests.fakes.bad_line import BadLine

By = Literal["signal", "line"]

_FIELDS = ("state", "fence", "attempts", "result", "completed_ms")
_PATIENCE_S = 60
_LOOK_S = 0.05


async def run(*, jobs: int, by: By, cast: Cast) -> Report:
    """Let a worker hold so many jobs, and come back when another has made them."""
    report = Report(f"stale worker, by {by}")
    async with on_stage(cast) as stage, _stale(stage, by) as stale:
        stage.workers[0].stop()
        await stale.start()
        ids = await asyncio.gather(
            *(
                stage.client.submit(f"stale {n}", name=f"stale {n}", model=MODEL)
                for n in range(jobs)
            )
        )
        await _until(lambda: len(books.calls(stage.ledger)) >= jobs)
        stale.stop()
        stage.workers[0].start()
        ends = [await stage.client.final(job_id) for job_id in ids]
        before = await _records(stage.redis, ids)
        stale.go_on()
        if by == "line":
            await _until(lambda: stale.refused >= jobs)
        else:
            await _until(lambda: stale.let_go >= jobs)
        after = await _records(stage.redis, ids)
        calls = len(books.calls(stage.ledger))
        report.note(jobs=jobs, lease_s=cast.lease_s, calls=calls)
        report.note(late_commits_refused=stale.refused, attempts_let_go=stale.let_go)
    own = [job_id for job_id, record in before.items() if record[1] == b"1"]
    report.expect_none("lost", [e["id"] for e in ends if e["status"] != "succeeded"])
    report.expect_none("not_taken_over", own)
    report.expect_none("changed", [i for i in before if before[i] != after[i]])
    report.expect(that=calls <= 2 * jobs, otherwise=f"{calls} calls of {2 * jobs}")
    return report


class _Stale:
    """One more worker, behind a line of its own."""

    def __init__(self, stage: Stage, by: By, line: BadLine) -> None:
        self._stage, self._by, self._line = stage, by, line
        self._program = stage.program(
            "stale", "workers", DARKROOM_REDIS_URL=f"redis://{line.address}"
        )

    @property
    def refused(self) -> int:
        """How many jobs it would have ended too late, as its log says."""
        return len(self._of("outcome.refused"))

    @property
    def let_go(self) -> int:
        """How many it has let go, told so by a renewal or by a refusal."""
        return len(self._of("attempt.stopped") | self._of("outcome.refused"))

    async def start(self) -> None:
        """Return when it serves, alone."""
        self._program.start()
        async with asyncio.timeout(_PATIENCE_S):
            while not self._lines("worker.started"):
                await asyncio.sleep(_LOOK_S)

    def stop(self) -> None:
        if self._by == "signal":
            self._program.send(signal.SIGSTOP)
        else:
            self._line.freeze()

    def go_on(self) -> None:
        if self._by == "signal":
            self._program.send(signal.SIGCONT)
        else:
            self._line.thaw()

    def _of(self, event: str) -> set[str]:
        return {json.loads(line)["id"] for line in self._lines(event)}

    def _lines(self, event: str) -> list[str]:
        log = (self._stage.folder / "stale.log").read_text()
        whole = log[: log.rfind("\n") + 1].splitlines()
        return [line for line in whole if f'"{event}"' in line]


@contextlib.asynccontextmanager
async def _stale(stage: Stage, by: By) -> AsyncIterator[_Stale]:
    async with BadLine(str(stage.valkey.socket)) as line:
        yield _Stale(stage, by, line)


async def _records(redis: Redis, ids: list[str]) -> dict[str, list[bytes | None]]:
    async with redis.pipeline(transaction=False) as pipe:
        for job_id in ids:
            pipe.hmget(keys.job(job_id), *_FIELDS)
        return dict(zip(ids, await pipe.execute(), strict=True))


async def _until(holds) -> None:
    async with asyncio.timeout(_PATIENCE_S):
        while not holds():
            await asyncio.sleep(_LOOK_S)
