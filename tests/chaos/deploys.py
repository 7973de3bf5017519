"""Every process is restarted in turn, over and over, and no caller may notice.

Callers have two front doors and one more try, as behind any balancer: what fails at
one is asked of the other, under the same name.
"""

import asyncio
import contextlib
import itertools
import signal
import statistics
import time
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any

import aiohttp

from service.core.jobs import JobState
from service.job_store import keys
from tests.chaos import books
from tests.chaos.doors import Doors, front_doors, until_open
from tests.chaos.followers import Follower
from tests.chaos.program import Program
from tests.chaos.report import Report
from tests.chaos.stage import MODEL, SECRET, Cast
from tests.chaos.watch import Watcher

_HOLD_S = 20
_ENDS_WITHIN_S = 40
_STARTS_WITHIN_S = 120
_LOOK_S = 0.05
_WAITS_EVERY = 5
"""Every so manyth caller is held until its image is made."""
_TOLD_WITHIN_S = 30
_EVENTS = "/v1/events"


class _Callers:
    """All who submit, and how it went.

    Attributes:
        jobs: Ids of what was accepted.
        second_tries: How often the first front door did not serve.
        faults: What even the second did not.
    """

    def __init__(self, doors: Doors) -> None:
        self._doors = doors
        self._turns = itertools.count()
        self.jobs: list[str] = []
        self.second_tries = 0
        self.faults: list[str] = []
        self.asked_ms: list[float] = []

    async def keep_coming(self, *, per_s: float, until: asyncio.Event) -> None:
        """Have somebody come so often; return when all of them were served."""
        begun = time.monotonic()
        async with asyncio.TaskGroup() as group:
            for number in itertools.count():
                if until.is_set():
                    return
                come = self._waits if number % _WAITS_EVERY == 0 else self._polls
                group.create_task(self._noted(come(number)))
                await asyncio.sleep(begun + (number + 1) / per_s - time.monotonic())

    async def _noted(self, coming: Awaitable[None]) -> None:
        try:
            await coming
        except (aiohttp.ClientError, TimeoutError, AssertionError) as exc:
            self.faults.append(repr(exc)[:300])

    async def _polls(self, number: int) -> None:
        body = {"model": MODEL, "prompt": f"a fox, {number}"}
        name = {"Idempotency-Key": f"polls {number}"}
        begun = time.perf_counter()
        job = await self._ask("POST", "/v1/jobs", json=body, headers=name)
        self.asked_ms.append((time.perf_counter() - begun) * 1000)
        self.jobs.append(job["id"])
        while not JobState(job["status"]).is_final:
            job = await self._ask("GET", f"/v1/jobs/{job['id']}?wait={_HOLD_S}")
        assert job["status"] == "succeeded", job["error"]

    async def _waits(self, number: int) -> None:
        body = {"model": MODEL, "prompt": f"a hare, {number}"}
        name = {"Idempotency-Key": f"waits {number}"}
        path = "/v1/images/generations"
        made = await self._ask("POST", path, json=body, headers=name)
        self.jobs.append(made["job_id"])

    async def _ask(self, method: str, path: str, **how: Any) -> Any:
        """Ask one front door, and if it does not serve, the other."""
        turn = next(self._turns)
        with contextlib.suppress(aiohttp.ClientError, TimeoutError):
            status, said = await self._once(turn, method, path, **how)
            if status < HTTPStatus.INTERNAL_SERVER_ERROR:
                return said
        self.second_tries += 1
        status, said = await self._once(turn + 1, method, path, **how)
        assert status < HTTPStatus.BAD_REQUEST, (path, status, said)
        return said

    async def _once(
        self, turn: int, method: str, path: str, **how: Any
    ) -> tuple[int, Any]:
        url = self._doors.urls[turn % len(self._doors.urls)]
        headers = {"Authorization": f"Bearer {SECRET}"} | how.pop("headers", {})
        async with self._doors.session.request(
            method, url + path, headers=headers, **how
        ) as answer:
            said = await answer.json()
            if "x-job-id" in answer.headers:
                said["job_id"] = answer.headers["x-job-id"]
            return answer.status, said


async def run(*, rounds: int, per_s: float, cast: Cast) -> Report:
    """Restart two front doors and all workers, one at a time, under load.

    Args:
        rounds: How often each is restarted.
        per_s: Submissions.
        cast: Who plays; its jobs take less than the time that a worker drains.
    """
    report = Report("deploys")
    async with front_doors(cast, count=2) as doors:
        callers, done = _Callers(doors), asyncio.Event()
        listener = Follower(f"{_EVENTS}?after=0-0", doors, SECRET)
        following = asyncio.create_task(listener.follow(lambda _: False))
        coming = asyncio.create_task(callers.keep_coming(per_s=per_s, until=done))
        took_s = await _restart_all(doors, rounds)
        done.set()
        await coming
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_TOLD_WITHIN_S):
                await listener.heard(len(callers.jobs))
        following.cancel()
        watcher = Watcher(doors.redis, account="default")
        await watcher.look()
        calls = len(books.calls(doors.stage.ledger))
    report.note(restarts=len(took_s), restart_median_s=statistics.median(took_s))
    report.note(jobs=len(callers.jobs), second_tries=callers.second_tries)
    report.note(submit_p50_ms=statistics.median(callers.asked_ms))
    report.note(events_told=len(listener.told), comings=listener.comings)
    _judge(report, callers, listener, watcher)
    report.note(calls=calls)
    report.expect(
        that=calls == len(callers.jobs),
        otherwise=f"{calls} calls for {len(callers.jobs)} jobs",
    )
    return report


def _judge(
    report: Report, callers: _Callers, listener: Follower, watcher: Watcher
) -> None:
    seen = watcher.seen
    report.expect_none("not_served_by_either", callers.faults)
    report.expect_none("lost", set(callers.jobs) - seen.keys())
    report.expect_none("nobody_asked_for", seen.keys() - set(callers.jobs))
    report.expect_none(
        "not_made", [i for i, one in seen.items() if one.state != "succeeded"]
    )
    report.expect_none(
        "interrupted_or_tried_again",
        [i for i, one in seen.items() if one.interruptions or one.attempts > 1],
    )
    report.expect_none("events_out_of_order", listener.faults)
    ended = [frame.data["job_id"] for frame in listener.told if _is_end(frame.data)]
    report.expect_none("ends_not_told", set(callers.jobs) - set(ended))
    report.expect(that=len(ended) == len(set(ended)), otherwise="ends were told twice")


def _is_end(event: dict[str, Any]) -> bool:
    return JobState(event["status"]).is_final


async def _restart_all(doors: Doors, rounds: int) -> list[float]:
    """Restart each process in its turn; return how long each was away."""
    others = doors.stage.workers
    everybody = [
        *zip(doors.programs, (_opened(doors, url) for url in doors.urls), strict=True),
        *zip(others, (_at_work(doors, worker) for worker in others), strict=True),
    ]
    return [
        await _restart(program, is_back)
        for _ in range(rounds)
        for program, is_back in everybody
    ]


async def _restart(program: Program, is_back: Callable[[], Awaitable[None]]) -> float:
    """Tell it to end, wait until it has, start it, and wait until it serves."""
    begun = time.monotonic()
    program.send(signal.SIGTERM)
    async with asyncio.timeout(_ENDS_WITHIN_S):
        while program.is_alive:
            await asyncio.sleep(_LOOK_S)
    program.start()
    async with asyncio.timeout(_STARTS_WITHIN_S):
        await is_back()
    return time.monotonic() - begun


def _opened(doors: Doors, url: str) -> Callable[[], Awaitable[None]]:
    return lambda: until_open(doors.session, url)


def _at_work(doors: Doors, worker: Program) -> Callable[[], Awaitable[None]]:
    async def is_back() -> None:
        spoken = f":{worker.pid}:".encode()
        while not any(
            spoken in name for name in await doors.redis.zrange(keys.WORKERS, 0, -1)
        ):
            await asyncio.sleep(_LOOK_S)

    return is_back
