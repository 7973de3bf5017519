"""Everybody spends one quota at once, through three front doors, until it is gone.

Between the jobs that succeed there are some that fail, some that make fewer images
than they were asked for, and some that are canceled; of what those give back nothing
may be lost, and nothing spent twice.
"""

import asyncio
import contextlib
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Coroutine
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any

from service.accounts import ApiKey
from service.accounts.usage import Balance
from tests.chaos import books
from tests.chaos.doors import Doors, front_doors
from tests.chaos.program import first_line
from tests.chaos.report import Report
from tests.chaos.stage import MODEL, Cast

AGAIN_S = 0.2
OPEN_RETRY_AFTER_S = 5
"""No client is told to wait longer while something is reserved."""
_UNITS = 5_000
_ASKED = (1, 1, 2, 3)
_CANCELED = 0.1
_FAULTS = ("rejected", "fewer")
_FAULT_EVERY_S = 0.1
_LOOK_S = 0.002
_HOLD_S = 30


@dataclass
class _Spending:
    """What clients and an onlooker have seen.

    Attributes:
        ends: Jobs by how they ended.
        images: How many were delivered.
        most: The most units that were used and reserved at one instant.
        too_patient: Long `Retry-After` while something was reserved, in seconds.
    """

    doors: Doors
    key: ApiKey
    secret: str
    ends: Counter[str] = field(default_factory=Counter)
    images: int = 0
    fewer: int = 0
    refusals: int = 0
    most: int = 0
    looks: int = 0
    too_patient: list[int] = field(default_factory=list)

    async def spend(self, number: int, dice: random.Random) -> None:
        """Ask for images until there are none left to ask for."""
        turn, n = number, dice.choice(_ASKED)
        while True:
            turn += 1
            status, body, retry_s = await self._ask(
                turn, "POST", "/v1/jobs", {"model": MODEL, "prompt": "x", "n": n}
            )
            if status == HTTPStatus.ACCEPTED:
                await self._follow(turn, body["id"], n, dice)
                n = dice.choice(_ASKED)
                continue
            assert (status, body["error"]["code"]) == (429, "quota_exceeded"), body
            self.refusals += 1
            if retry_s > OPEN_RETRY_AFTER_S:
                # Nothing was reserved then, so nothing will come back: what is left
                # is less than was asked for.
                if n == 1:
                    return
                self.too_patient += [retry_s] * ((await self._balance()).reserved > 0)
            n = 1
            await asyncio.sleep(AGAIN_S)

    async def look(self) -> None:
        """Add up what is used and reserved, over and over, until canceled."""
        while True:
            balance = await self._balance()
            self.most = max(self.most, balance.used + balance.reserved)
            self.looks += 1
            await asyncio.sleep(_LOOK_S)

    async def _follow(
        self, turn: int, job_id: str, n: int, dice: random.Random
    ) -> None:
        path = f"/v1/jobs/{job_id}"
        if dice.random() < _CANCELED:
            await asyncio.sleep(dice.random() * self.doors.stage.cast.latency_ms / 500)
            await self._ask(turn + 1, "POST", f"{path}/cancel")
        job = {"status": "queued"}
        while job["status"] in {"queued", "running"}:
            _, job, _ = await self._ask(turn, "GET", f"{path}?wait={_HOLD_S}")
        delivered = len(job["result"]["data"]) if job["result"] else 0
        self.ends[job["status"]] += 1
        self.images += delivered
        self.fewer += 0 < delivered < n

    async def _balance(self) -> Balance:
        return await self.doors.accounts.balance(self.key)

    async def _ask(
        self, turn: int, method: str, path: str, json: Any = None
    ) -> tuple[int, Any, int]:
        url = f"{self.doors.urls[turn % len(self.doors.urls)]}{path}"
        headers = {"Authorization": f"Bearer {self.secret}"}
        async with self.doors.session.request(
            method, url, json=json, headers=headers
        ) as answer:
            retry_s = int(answer.headers.get("Retry-After", "0"))
            return answer.status, await answer.json(), retry_s


async def run(*, clients: int, images: int, seed: int, cast: Cast) -> Report:
    """Let so many clients share a quota of so many images."""
    report = Report(f"quota, seed {seed}")
    async with front_doors(cast, count=3) as doors:
        key, secret = await doors.knows("default", quota_units=images * _UNITS)
        spending = _Spending(doors, key, secret)
        begun = time.monotonic()
        async with beside(spending.look(), misbehave(doors)):
            await asyncio.gather(
                *(spending.spend(i, random.Random(seed + i)) for i in range(clients))
            )
        report.note(clients=clients, quota_images=images, seed=seed)
        report.note(run_s=time.monotonic() - begun)
        await _settle(report, spending, images)
    return report


async def _settle(report: Report, spending: _Spending, images: int) -> None:
    balance = await spending.doors.accounts.balance(spending.key)
    today = datetime.now(UTC).date()
    days = await spending.doors.accounts.usage(
        "default", today - timedelta(days=1), today
    )
    rows = [day for day in days if day.key_id == spending.key.id]
    ledger = {
        name: sum(getattr(row, name) for row in rows)
        for name in ("jobs", "succeeded", "failed", "canceled", "images", "units")
    }
    report.note(jobs=spending.ends.total(), **dict(spending.ends))
    report.note(with_fewer_images=spending.fewer, refusals=spending.refusals)
    report.note(calls=len(books.calls(spending.doors.stage.ledger)))
    report.note(images_delivered=spending.images, looks=spending.looks)
    report.note(most_at_an_instant=spending.most / _UNITS)
    report.note(ledger_units=ledger["units"], balance_units=balance.used)
    seen = {"jobs": spending.ends.total(), "images": spending.images}
    seen |= {end: spending.ends[end] for end in ("succeeded", "failed", "canceled")}
    seen |= {"units": balance.used}
    for name, count in seen.items():
        report.expect(
            that=ledger[name] == count,
            otherwise=f"the ledger has {ledger[name]} {name}, clients saw {count}",
        )
    report.expect(
        that=spending.most <= images * _UNITS,
        otherwise=f"{spending.most} units were used and reserved at one instant",
    )
    report.expect(
        that=spending.images == images,
        otherwise=f"{spending.images} images delivered of {images}",
    )
    report.expect(
        that=(balance.used, balance.reserved) == (images * _UNITS, 0),
        otherwise=f"{balance}",
    )
    report.expect(
        that=min(spending.ends["failed"], spending.ends["canceled"]) > 0,
        otherwise="nothing failed, or nothing was canceled",
    )
    report.expect_none("told_to_wait_too_long", spending.too_patient)


async def misbehave(doors: Doors) -> None:
    """Let a call upstream go wrong now and then, until canceled."""
    log = doors.stage.folder / "upstream.log"
    origin = (await asyncio.to_thread(first_line, log)).removesuffix("/v1")
    while True:
        for fault in _FAULTS:
            faults = {"faults": [fault]}
            url = f"{origin}/control/faults"
            async with doors.session.post(url, json=faults) as answer:
                assert answer.status == 200
            await asyncio.sleep(_FAULT_EVERY_S)


@contextlib.asynccontextmanager
async def beside(*endless: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run coroutines while the context is open; whatever they raise is raised."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(coroutine) for coroutine in endless]
        yield
        for task in tasks:
            task.cancel()
