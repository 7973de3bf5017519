"""Everything that moves a quota, all at once, while doors, workers and Valkey die.

Jobs succeed, fail, make fewer images than they were asked for, expire, are canceled,
deleted, said twice, and come in batches; embeds are joined and cached. In the end the
balance must be what was delivered and nothing else: there is no drift.
"""

import asyncio
import contextlib
import itertools
import random
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import aiohttp

from service.accounts import ApiKey
from service.core.jobs import JobState
from service.job_store import keys
from service.job_store.scripting import script
from tests.chaos.doors import Doors, front_doors, until_open
from tests.chaos.quota import beside, misbehave
from tests.chaos.report import Report
from tests.chaos.stage import MODEL, SHORT, Cast

ACCOUNT = "mixed"
_UNITS = 5_000
_CLIENTS = 40
_KILLS = ("worker", "door", "worker", "worker", "valkey")
_AWAY_S = 0.3
_LINES = 3
_AGAIN = frozenset({429, 502, 503})
_PAUSE_S, _LOOK_S, _SOON_S = 0.2, 0.1, 0.02
_PATIENCE_S = 600
_HASTE = {
    "DARKROOM_WORKER__RETRY_BASE_S": "0.2",
    "DARKROOM_WORKER__RETRY_CEILING_S": "1",
}
"""Nobody waits minutes here for the last attempt of a job."""


class _Answer(NamedTuple):
    status: int
    body: Any


@dataclass
class _Market:
    """Who asks for what, and what is known of it.

    Attributes:
        done: Operations by name.
        open: Jobs that may be canceled or deleted.
        deleted: Jobs that are gone, with the images they had.
        odd: Answers that nobody should get.
    """

    doors: Doors
    key: ApiKey
    secret: str
    seed: int
    done: Counter[str] = field(default_factory=Counter)
    open: list[str] = field(default_factory=list)
    deleted: dict[str, int] = field(default_factory=dict)
    odd: list[Any] = field(default_factory=list)

    async def ask(
        self, method: str, path: str, json: Any = None, **options: Any
    ) -> _Answer:
        """Ask one door after the other until one of them answers."""
        headers = {"Authorization": f"Bearer {self.secret}"}
        headers |= options.pop("headers", {})
        for url in itertools.cycle(self.doors.urls):
            with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                async with self.doors.session.request(
                    method, url + path, json=json, headers=headers, **options
                ) as answer:
                    is_json = answer.content_type == "application/json"
                    body = await (answer.json() if is_json else answer.read())
                    told_so = answer.headers.get("x-should-retry") == "true"
                    if answer.status not in _AGAIN and not told_so:
                        return _Answer(answer.status, body)
            await asyncio.sleep(_PAUSE_S)
        raise AssertionError


class _Client:
    """Does one thing after the other, as the dice will have it."""

    def __init__(self, market: _Market, number: int) -> None:
        self._market = market
        self._dice = random.Random(f"{market.seed} {number}")
        self._name = f"client {number}"
        self._said = itertools.count()

    async def act(self, left: "itertools.count[int]", most: int) -> None:
        """Go on until so many operations were done by all."""
        deeds = {
            self._submit: 40,
            self._submit_twice: 12,
            self._expire: 8,
            self._batch: 4,
            self._embed: 8,
            self._cancel: 18,
            self._delete: 10,
        }
        while next(left) < most:
            [deed] = self._dice.choices([*deeds], [*deeds.values()])
            self._market.done[deed.__name__.strip("_")] += 1
            await deed()

    async def _submit(self, **fields: Any) -> None:
        self._note(await self._say(self._body(**fields), self._fresh()))

    async def _submit_twice(self) -> None:
        body, name = self._body(), self._fresh()
        first, second = await asyncio.gather(
            self._say(body, name), self._say(body, name)
        )
        self._note(first)
        if first.body.get("id") != second.body.get("id"):
            self._market.odd.append((first, second))

    async def _expire(self) -> None:
        await self._submit(deadline_s=1, priority="batch")

    async def _batch(self) -> None:
        name = self._fresh()
        answer = await self._market.ask(
            "POST",
            f"/v1/batches?model={MODEL}",
            data=b"".join(b'{"prompt": "line %d"}\n' % n for n in range(_LINES)),
            headers={"Content-Type": "application/x-ndjson", "Idempotency-Key": name},
        )
        if answer.status != 202:
            self._market.odd.append(answer)

    async def _embed(self) -> None:
        prompt = f"page {self._dice.randrange(50)}"
        path = f"/embed/image:{SHORT}?prompt={prompt}"
        await self._market.ask("GET", path)

    async def _cancel(self) -> None:
        if self._market.open:
            job_id = self._dice.choice(self._market.open)
            answer = await self._market.ask("POST", f"/v1/jobs/{job_id}/cancel")
            if answer.status not in {200, 409, 410}:
                self._market.odd.append(answer)

    async def _delete(self) -> None:
        if not self._market.open:
            return
        job_id = self._market.open.pop(self._dice.randrange(len(self._market.open)))
        job = (await self._market.ask("GET", f"/v1/jobs/{job_id}")).body
        if not JobState(job["status"]).is_final:
            self._market.open.append(job_id)
            return
        answer = await self._market.ask("DELETE", f"/v1/jobs/{job_id}")
        if answer.status in {204, 404, 410}:
            self._market.deleted[job_id] = _images(job)
        else:
            self._market.odd.append(answer)

    def _body(self, **fields: Any) -> dict[str, Any]:
        n = self._dice.choice((1, 1, 2, 3))
        return {"model": MODEL, "prompt": self._name, "n": n, **fields}

    async def _say(self, body: Any, name: str) -> _Answer:
        headers = {"Idempotency-Key": name}
        return await self._market.ask("POST", "/v1/jobs", body, headers=headers)

    def _fresh(self) -> str:
        return f"{self._market.seed} {self._name} {next(self._said)}"

    def _note(self, answer: _Answer) -> None:
        if answer.status == 202:
            self._market.open.append(answer.body["id"])
        else:
            self._market.odd.append(answer)


def _images(job: Any) -> int:
    return len(job["result"]["data"]) if job["result"] else 0


async def run(*, operations: int, killed_every: int, seed: int, cast: Cast) -> Report:
    """Do so many things, and kill somebody every so often; add up what it came to."""
    report = Report(f"mixed operations, seed {seed}")
    async with front_doors(cast, count=3, settings=_HASTE) as doors:
        key, secret = await doors.knows(ACCOUNT, quota_units=10**12)
        market, left = _Market(doors, key, secret, seed), itertools.count()
        begun = time.monotonic()
        async with beside(misbehave(doors), doors.stage.keep_workers_up()):
            clients = [_Client(market, number) for number in range(_CLIENTS)]
            async with beside(_kill(market, killed_every, random.Random(seed))):
                await asyncio.gather(
                    *(client.act(left, operations) for client in clients)
                )
            jobs = await _all_final(market)
        report.note(operations=market.done.total(), **dict(market.done))
        report.note(run_s=time.monotonic() - begun)
        report.note(**{f"{who}_kills": n for who, n in doors.stage.kills.items()})
        await _settle(report, market, jobs)
    return report


async def _kill(market: _Market, every: int, dice: random.Random) -> None:
    """Kill one after the other, each when so many more operations have begun."""
    stage = market.doors.stage
    for number, who in enumerate(itertools.cycle(_KILLS), 1):
        while market.done.total() < number * every:
            await asyncio.sleep(_SOON_S)
        if who == "worker":
            stage.kill_worker(dice.randrange(stage.cast.workers))
        elif who == "door":
            stage.kill_door()
        else:
            async with stage.without_valkey():
                await asyncio.sleep(_AWAY_S)


async def _all_final(market: _Market) -> list[Any]:
    """Return all jobs there are once none of them is open."""
    async with asyncio.timeout(_PATIENCE_S):
        while await market.doors.redis.scard(f"darkroom:batches:active:{ACCOUNT}"):
            await asyncio.sleep(_LOOK_S)
        while int(await market.doors.redis.hget(keys.use(market.key.id), "open") or 0):
            await asyncio.sleep(_LOOK_S)
    await until_open(market.doors.session, market.doors.urls[0])
    client = market.doors.stage.client.using(market.secret)
    return [job async for job in client.jobs()]


async def _settle(report: Report, market: _Market, jobs: list[Any]) -> None:
    accounts, redis = market.doors.accounts, market.doors.redis
    balance, today = await accounts.balance(market.key), datetime.now(UTC).date()
    days = await accounts.usage(ACCOUNT, today - timedelta(days=1), today)
    images = sum(map(_images, jobs)) + sum(market.deleted.values())
    ends = Counter(job["status"] for job in jobs)
    ledger = {n: sum(getattr(d, n) for d in days) for n in ("jobs", "images", "units")}
    report.note(jobs=len(jobs) + len(market.deleted), deleted=len(market.deleted))
    report.note(**dict(ends), images=images, units_used=balance.used)
    report.note(drift=balance.used - images * _UNITS, reserved=balance.reserved)
    report.note(recounted=await script(redis, "recount")([3000, market.key.id]))
    truth = {"jobs": report.figures["jobs"], "images": images, "units": balance.used}
    for name in ("drift", "reserved", "recounted"):
        report.expect(
            that=report.figures[name] == 0,
            otherwise=f"{name} is {report.figures[name]}",
        )
    report.expect(that=ledger == truth, otherwise=f"{ledger} in the ledger: {truth}")
    report.expect_none("odd_answers", market.odd)
    for end in ("succeeded", "failed", "canceled", "expired"):
        report.expect(that=ends[end] > 0, otherwise=f"nothing {end}")
