"""Ten times what the fleet can do, for a minute: most is refused, nothing breaks.

One account asks for many times its fair share, the others for twice theirs. What
was accepted is made; what was not is told so at once, and when to come again. How
fast a server can answer at all on this machine just now, one that does nothing says.
"""

import asyncio
import contextlib
import math
import statistics
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from http import HTTPStatus

import aiohttp

from service.accounts import Accounts, Grant
from service.settings import Limits
from tests.chaos.client import Client
from tests.chaos.gauges import Growth
from tests.chaos.report import Report
from tests.chaos.stage import MODEL, Cast, Stage, on_stage

REFUSED_WITHIN_MS = 50
"""At the 99th percentile, on a machine that is ours alone."""
LEAST_SHARE = 0.8
MOST_GROWN_MB = 50
_OTHERS = 2
"""How many times its fair share an account asks for that is not loud."""
_REFUSALS = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE})
_WARM_UP = 3
"""Times the upstream's latency: by then the house is full, and the pace known."""
_BARE_PER_S = 20


@dataclass
class _Account:
    """One who asks, and what he was told.

    Attributes:
        jobs: Ids of those that were accepted.
        refused: When in Unix s, after how many ms, and for how many s from then.
        ended: When each of his jobs ended, in whole Unix s; known in the end.
    """

    name: str
    client: Client
    url: str
    secret: str
    jobs: list[str] = field(default_factory=list)
    refused: list[tuple[float, float, int]] = field(default_factory=list)
    odd: list[str] = field(default_factory=list)
    ended: list[float] = field(default_factory=list)
    unmade: list[str] = field(default_factory=list)

    async def ask(self, http: aiohttp.ClientSession, number: int) -> None:
        body = {"model": MODEL, "prompt": f"{self.name}, {number}"}
        headers = {"Authorization": f"Bearer {self.secret}"}
        begun = time.perf_counter()
        async with http.post(self.url, json=body, headers=headers) as answer:
            said = await answer.json()
            took_ms = (time.perf_counter() - begun) * 1000
        if answer.status == HTTPStatus.ACCEPTED:
            self.jobs.append(said["id"])
        elif answer.status in _REFUSALS:
            wait_s = int(answer.headers["Retry-After"])
            self.refused.append((time.time(), took_ms, wait_s))
        else:
            self.odd.append(f"{answer.status}: {said}")

    async def ask_often(
        self, http: aiohttp.ClientSession, *, per_s: float, seconds: float
    ) -> None:
        """Ask at that pace, whatever is answered; an answer is not waited for."""
        begun = time.monotonic()
        async with asyncio.TaskGroup() as group:
            for number in range(int(per_s * seconds)):
                await asyncio.sleep(begun + number / per_s - time.monotonic())
                group.create_task(self.ask(http, number))

    async def settle(self) -> None:
        """Wait until all his jobs are final; learn when each was."""
        for job_id in self.jobs:
            job = await self.client.final(job_id)
            self.ended.append(job["completed_at"])
            if job["status"] != "succeeded":
                self.unmade.append(f"{job_id}: {job['error']}")

    def in_vain(self, since: float) -> list[str]:
        """Return the refusals after whose wait there was still no room at all."""
        return [
            f"{self.name} was told {wait_s} s at {at:.1f}"
            for at, _, wait_s in self.refused
            if at > since and not any(at - 1 < end <= at + wait_s for end in self.ended)
        ]


class _Bare:
    """Somebody who asks a server that does nothing."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.took_ms: list[float] = []

    async def ask_often(self, http: aiohttp.ClientSession, *, seconds: float) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            begun = time.perf_counter()
            async with http.get(self._url) as answer:
                await answer.read()
            self.took_ms.append((time.perf_counter() - begun) * 1000)
            await asyncio.sleep(1 / _BARE_PER_S)


async def run(
    *,
    seconds: float,
    loud: float,
    others: int,
    most_queued: int,
    times_bare: float,
    in_vain: float,
    cast: Cast,
) -> Report:
    """Let one account ask for many times its share, beside so many others.

    Args:
        seconds: For how long.
        loud: So many times its fair share is what one account asks for.
        others: Accounts that ask for twice their fair share.
        most_queued: Unfinished jobs an account may have.
        times_bare: On a machine that is not ours alone a refusal may take so many
            times what an answer of a server takes that does nothing.
        in_vain: What part of those who waited as they were told may find no room.
        cast: Who plays.
    """
    report = Report("overload")
    settings = {"DARKROOM_LIMITS__QUEUED_JOBS": str(most_queued)}
    async with on_stage(cast, settings=settings) as stage, _session() as http:
        accounts = [await _account(stage, n) for n in range(others + 1)]
        fair_per_s = cast.jobs_per_s / len(accounts)
        paces = [fair_per_s * _OTHERS] * others + [fair_per_s * loud]
        growth = Growth(stage)
        bare = _Bare(f"{stage.origin('upstream')}/control")
        warm_up_s = _WARM_UP * cast.latency_ms / 1000
        begun, asked_s = time.time() + warm_up_s, warm_up_s + seconds
        async with growth.watched(), asyncio.TaskGroup() as group:
            for account, per_s in zip(accounts, paces, strict=True):
                group.create_task(account.ask_often(http, per_s=per_s, seconds=asked_s))
            group.create_task(bare.ask_often(http, seconds=asked_s))
        until = time.time()
        await asyncio.gather(*(account.settle() for account in accounts))
    report.note(workers=cast.workers, slots_each=cast.slots)
    report.note(capacity_per_s=cast.jobs_per_s, asked_per_s=sum(paces))
    report.note(bare_p99_ms=_p99(bare.took_ms))
    most_ms = max(REFUSED_WITHIN_MS, times_bare * _p99(bare.took_ms))
    _judge_answers(report, accounts, most_ms=most_ms)
    _judge_waits(report, accounts, begun, in_vain=in_vain)
    _judge_shares(report, accounts, begun, until)
    for name, grown_mb in growth.most.items():
        report.note(**{f"{name}_grew_mb": grown_mb})
        report.expect(
            that=grown_mb < MOST_GROWN_MB, otherwise=f"{name} grew by {grown_mb:.0f} MB"
        )
    return report


def _judge_answers(report: Report, accounts: list[_Account], *, most_ms: float) -> None:
    took_ms = [ms for account in accounts for _, ms, _ in account.refused]
    p99_ms = _p99(took_ms)
    report.note(accepted=sum(len(a.jobs) for a in accounts), refused=len(took_ms))
    report.expect_none("other_answers", [odd for a in accounts for odd in a.odd])
    report.expect_none("accepted_but_not_made", [x for a in accounts for x in a.unmade])
    report.note(refused_p50_ms=statistics.median(took_ms), refused_p99_ms=p99_ms)
    report.expect(that=p99_ms < most_ms, otherwise=f"refusals take {p99_ms:.0f} ms")


def _judge_waits(
    report: Report, accounts: list[_Account], begun: float, *, in_vain: float
) -> None:
    """Hold each `Retry-After` against the next end of one of the account's jobs."""
    waits = [wait for a in accounts for at, _, wait in a.refused if at > begun]
    vain = [one for account in accounts for one in account.in_vain(begun)]
    report.note(shortest_wait_s=min(waits), longest_wait_s=max(waits))
    report.note(came_again_in_vain=len(vain))
    report.expect(
        that=len(vain) <= in_vain * len(waits),
        otherwise=f"{len(vain)} of {len(waits)} came again in vain: {vain[:3]}",
    )


def _judge_shares(
    report: Report, accounts: list[_Account], begun: float, until: float
) -> None:
    """Hold what each account got against an equal part of all that was made."""
    made = {a.name: sum(begun < end <= until for end in a.ended) for a in accounts}
    fair = max(1, sum(made.values())) / len(accounts)
    report.note(made_per_s=sum(made.values()) / (until - begun))
    for name, count in made.items():
        report.note(**{f"share_of_{name}": count / fair})
        report.expect(
            that=count >= LEAST_SHARE * fair,
            otherwise=f"{name} got {count} of {fair:.0f}",
        )


@contextlib.asynccontextmanager
async def _session() -> AsyncIterator[aiohttp.ClientSession]:
    connector = aiohttp.TCPConnector(limit=0)
    timeout = aiohttp.ClientTimeout(total=30)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as http:
        yield http


async def _account(stage: Stage, number: int) -> _Account:
    name = f"account{number}"
    accounts = Accounts(stage.redis, Limits())
    _, secret = await accounts.create(Grant(account=name))
    return _Account(
        name, stage.client.using(secret), f"{stage.base_url}/v1/jobs", secret
    )


def _p99(took: list[float]) -> float:
    return sorted(took)[math.ceil(0.99 * len(took)) - 1]
