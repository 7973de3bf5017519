"""All the ways in which callers come to us in a day, and what each expects."""

import asyncio
import contextlib
import io
import json
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any

import aiohttp

from service.core.jobs import JobState
from tests.chaos.stage import MODEL, POISON, SECRET, SHORT

_HOLD_S = 30
_LINES = 10
_HANGS_UP_AFTER_S = 0.05
_LATER = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE})
_CANCELED = frozenset({HTTPStatus.OK, HTTPStatus.CONFLICT})
"""Or it had finished by then."""

Habit = Callable[["Public", int], Awaitable[None]]


class Public:
    """Everybody who calls one front door.

    Attributes:
        came: How often each habit was played to its end.
        put_off: How often somebody was asked to come again, and did.
        faults: What nobody should have been answered.
    """

    def __init__(self, http: aiohttp.ClientSession, base_url: str) -> None:
        self._http, self._base_url = http, base_url
        self.came: Counter[str] = Counter()
        self.put_off = 0
        self.faults: list[str] = []

    async def come(self, number: int, dice: random.Random) -> None:
        """Do what somebody does; which of the habits it is, the dice say."""
        habit = dice.choices(list(HABITS), weights=list(HABITS.values()))[0]
        try:
            await habit(self, number)
        except (aiohttp.ClientError, TimeoutError, AssertionError) as exc:
            self.faults.append(f"{habit.__name__}: {exc!r}")
        self.came[habit.__name__.strip("_")] += 1

    async def ask(
        self, method: str, path: str, *, status: int = 200, **how: Any
    ) -> Any:
        """Return the body of an answer that has to have that status, now or later."""
        async with self.open(method, path, **how) as answer:
            body = await answer.read()
        if answer.status in _LATER:
            self.put_off += 1
            await asyncio.sleep(int(answer.headers["Retry-After"]))
            return await self.ask(method, path, status=status, **how)
        assert answer.status == status, (path, answer.status, body[:300])
        return json.loads(body) if answer.content_type == "application/json" else body

    def open(self, method: str, path: str, **how: Any) -> Any:
        """Return the answer as a context."""
        headers = {"Authorization": f"Bearer {SECRET}"} | how.pop("headers", {})
        url = path if "://" in path else f"{self._base_url}{path}"
        return self._http.request(method, url, headers=headers, **how)

    async def submit(self, number: int, **fields: Any) -> str:
        """Return the id of a new job."""
        body = {"model": MODEL, "prompt": f"a fox, {number}"} | fields
        job = await self.ask("POST", "/v1/jobs", status=202, json=body)
        return str(job["id"])


async def _polls(public: Public, number: int) -> None:
    name = {"Idempotency-Key": f"soak {number}"}
    job_id = await public.submit(number, metadata={"number": str(number)})
    job: dict[str, Any] = {"status": "queued"}
    while not JobState(job["status"]).is_final:
        job = await public.ask("GET", f"/v1/jobs/{job_id}?wait={_HOLD_S}")
    assert job["status"] == "succeeded", job["error"]
    await public.ask("GET", job["result"]["data"][0]["url"], headers={})
    await public.ask("GET", f"/v1/jobs/{job_id}/images/0?width=64", headers=name)


async def _waits(public: Public, number: int) -> None:
    body = {"model": MODEL, "prompt": f"a hare, {number}"}
    headers = {"Idempotency-Key": f"soak {number}"}
    for _ in range(2):
        await public.ask("POST", "/v1/images/generations", json=body, headers=headers)


async def _wants_no_trace(public: Public, number: int) -> None:
    body = {"model": MODEL, "prompt": f"a hare, {number}"}
    body |= {"response_format": "b64_ephemeral"}
    await public.ask("POST", "/v1/openai/images/generations", json=body)


async def _cancels(public: Public, number: int) -> None:
    job_id = await public.submit(number)
    path = f"/v1/jobs/{job_id}/cancel"
    status = HTTPStatus.SERVICE_UNAVAILABLE
    while status in _LATER:
        async with public.open("POST", path) as answer:
            status = answer.status
    assert status in _CANCELED, status


async def _follows(public: Public, number: int) -> None:
    job_id = await public.submit(number)
    async with public.open("GET", f"/v1/jobs/{job_id}/events") as answer:
        assert b"succeeded" in await answer.read()


async def _looks_in_and_leaves(public: Public, number: int) -> None:
    job_id = await public.submit(number)
    async with public.open("GET", f"/v1/jobs/{job_id}/events") as answer:
        await answer.content.readline()


async def _hangs_up(public: Public, number: int) -> None:
    body = {"model": MODEL, "prompt": f"a wolf, {number}"}
    timeout = aiohttp.ClientTimeout(total=_HANGS_UP_AFTER_S)
    with contextlib.suppress(TimeoutError):
        await public.ask("POST", "/v1/images/generations", json=body, timeout=timeout)


async def _embeds(public: Public, number: int) -> None:
    await public.ask("GET", f"/embed/image:{SHORT}?prompt=page {number // 10}")


async def _errs(public: Public, number: int) -> None:
    body = {"model": MODEL, "prompt": "x" * (number % 2), "size": "enormous"}
    await public.ask("POST", "/v1/jobs", status=400, json=body)
    await public.ask("GET", f"/v1/jobs/job_{number:026}", status=404)


async def _is_refused(public: Public, number: int) -> None:
    job_id = await public.submit(number, model=POISON.replace("poison", "refuse"))
    job = await public.ask("GET", f"/v1/jobs/{job_id}?wait={_HOLD_S}")
    assert job["status"] == "failed", job


async def _sends_lines(public: Public, number: int) -> None:
    lines = (
        json.dumps({"custom_id": str(n), "prompt": f"a line, {number}-{n}"})
        for n in range(_LINES)
    )
    headers = {"Content-Type": "application/x-ndjson"}
    path = f"/v1/batches?model={MODEL}"
    data = "\n".join(lines)
    batch = await public.ask("POST", path, status=202, data=data, headers=headers)
    path = f"/v1/batches/{batch['id']}/results?follow=true"
    results = (await public.ask("GET", path)).splitlines()
    assert len(results) == _LINES, len(results)


async def _uploads(public: Public, number: int) -> None:
    form = aiohttp.FormData({"purpose": "batch"})
    form.add_field("file", io.BytesIO(b"{}\n" * number), filename="lines.jsonl")
    file = await public.ask("POST", "/v1/files", data=form)
    await public.ask("GET", f"/v1/files/{file['id']}/content")
    await public.ask("DELETE", f"/v1/files/{file['id']}")


HABITS: dict[Habit, int] = {
    _polls: 40,
    _waits: 15,
    _wants_no_trace: 5,
    _cancels: 8,
    _follows: 10,
    _looks_in_and_leaves: 4,
    _hangs_up: 4,
    _embeds: 8,
    _errs: 4,
    _is_refused: 4,
    _sends_lines: 2,
    _uploads: 1,
}
"""How often each is met among the others."""


async def crowd(public: Public, *, per_s: float, seconds: float, seed: int) -> None:
    """Let somebody come so often, for so long; return when all of them have left."""
    dice, loop = random.Random(seed), asyncio.get_running_loop()
    begun = loop.time()
    async with asyncio.TaskGroup() as group:
        for number in range(int(seconds * per_s)):
            await asyncio.sleep(begun + number / per_s - loop.time())
            group.create_task(public.come(number, dice))
