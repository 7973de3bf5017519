"""Batches of real prompts, both ways, and one so large that it must not be felt.

What came of a line is joined back to its prompt by the name it was given, and held
against the upstream's own ledger: each prompt was bought once, or never.
"""

import asyncio
import contextlib
import io
import math
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from typing import Any

import aiohttp
import orjson
from openai import AsyncOpenAI

from service.accounts import Accounts, Grant
from service.job_store import keys
from service.settings import Limits
from tests.chaos.books import calls
from tests.chaos.report import Report
from tests.chaos.stage import MODEL, SECRET, Cast, Stage, on_stage

_GENERATIONS = "/v1/images/generations"
_BUSY = frozenset({"validating", "in_progress", "finalizing", "cancelling"})
_LOOK_S = 0.1
_WITHIN_S = 1800
_MOST_GROWN = 50 * 2**20
_MOST_PER_LINE = 1024
_SETTLED_S = 2.0


class Library:
    """An account that makes batches, in words of OpenAI's and in our own."""

    def __init__(self, stage: Stage, http: aiohttp.ClientSession) -> None:
        self._stage, self._http = stage, http
        self.openai = AsyncOpenAI(base_url=f"{stage.base_url}/v1", api_key=SECRET)

    async def upload(self, prompts: Sequence[str]) -> Any:
        """Make a batch of a file, as OpenAI's SDK does."""
        calls = (
            {
                "custom_id": str(number),
                "method": "POST",
                "url": _GENERATIONS,
                "body": {"model": MODEL, "prompt": prompt},
            }
            for number, prompt in enumerate(prompts)
        )
        file = io.BytesIO(b"\n".join(map(orjson.dumps, calls)))
        file.name = "prompts.jsonl"
        kept = await self.openai.files.create(file=file, purpose="batch")
        return await self.openai.batches.create(
            input_file_id=kept.id, endpoint=_GENERATIONS, completion_window="24h"
        )

    async def send(self, lines: AsyncIterator[bytes]) -> Any:
        """Make a batch of lines; return it."""
        url = f"{self._stage.base_url}/v1/batches?model={MODEL}"
        headers = {"Content-Type": "application/x-ndjson"}
        async with self._http.post(url, data=lines, headers=headers) as answer:
            assert answer.status == 202, await answer.text()
            return await answer.json()

    async def read(self, batch_id: str) -> Any:
        """Return the batch as it stands."""
        return await self.openai.batches.retrieve(batch_id)

    async def until(self, batch_id: str, *, completed: float = math.inf) -> Any:
        """Return the batch as soon as it has ended, or so many lines are made."""
        async with asyncio.timeout(_WITHIN_S):
            while (batch := await self.read(batch_id)).status in _BUSY:
                if batch.request_counts.completed >= completed:
                    break
                await asyncio.sleep(_LOOK_S)
        return batch

    async def results(self, batch_id: str, *, most: float = math.inf) -> list[Any]:
        """Follow the batch to its end; return its results, or the first ones."""
        url = f"{self._stage.base_url}/v1/batches/{batch_id}/results?follow=true"
        found: list[Any] = []
        async with self._http.get(url) as answer:
            async for line in answer.content:
                if line.strip():
                    found.append(orjson.loads(line))
                if len(found) >= most:
                    break
        return found

    async def output(self, batch: Any) -> dict[str, Any]:
        """Return the lines of a batch's output file by their names."""
        content = await self.openai.files.content(batch.output_file_id)
        rows = list(map(orjson.loads, content.content.splitlines()))
        assert len({row["custom_id"] for row in rows}) == len(rows)
        return {row["custom_id"]: row for row in rows}

    async def prompt_of(self, job_id: str) -> str:
        """Return what a job drew."""
        url = f"{self._stage.base_url}/v1/jobs/{job_id}"
        async with self._http.get(url) as answer:
            return str((await answer.json())["request"]["prompt"])


@contextlib.asynccontextmanager
async def _library(stage: Stage) -> AsyncIterator[Library]:
    headers = {"Authorization": f"Bearer {SECRET}"}
    timeout = aiohttp.ClientTimeout(total=None)
    async with aiohttp.ClientSession(headers=headers, timeout=timeout) as http:
        library = Library(stage, http)
        async with library.openai:
            yield library


async def run(prompts: Sequence[str], *, cast: Cast) -> Report:
    """Make an image of each prompt by a file, by lines, and half of them once more."""
    report = Report(f"batches of {len(prompts)} prompts")
    async with on_stage(cast) as stage, _library(stage) as library:
        await _by_file(report, stage, library, prompts)
        await _by_lines(report, stage, library, prompts)
        await _by_half(report, stage, library, prompts)
    return report


async def _by_file(
    report: Report, stage: Stage, library: Library, prompts: Sequence[str]
) -> None:
    begun = time.monotonic()
    batch = await library.until((await library.upload(prompts)).id)
    took_s = time.monotonic() - begun
    rows = await library.output(batch)
    jobs = {name: row["response"]["request_id"] for name, row in rows.items()}
    drawn = await asyncio.gather(*map(library.prompt_of, jobs.values()))
    wrong = [
        name
        for name, prompt in zip(jobs, drawn, strict=True)
        if prompts[int(name)] != prompt
    ]
    report.note(file_s=took_s, file_lines=len(rows), summary=batch.summary)
    report.expect_none("file_lines_with_a_prompt_of_others", wrong)
    report.expect(
        that=batch.status == "completed" and len(rows) == len(prompts),
        otherwise=f"the file's batch: {batch.status}, {len(rows)} lines",
    )
    report.expect_none("file_prompts_not_bought_once", _uneven(stage, prompts, 1))


async def _by_lines(
    report: Report, stage: Stage, library: Library, prompts: Sequence[str]
) -> None:
    begun = time.monotonic()
    batch = await library.send(_lines(prompts))
    found = await library.results(batch["id"])
    report.note(lines_s=time.monotonic() - begun, lines=len(found))
    wrong = [
        result["custom_id"]
        for result in found
        if result["job"]["status"] != "succeeded"
        or result["job"]["request"]["prompt"] != prompts[int(result["custom_id"])]
    ]
    names = {result["custom_id"] for result in found}
    report.expect_none("lines_with_a_prompt_of_others", wrong)
    report.expect(
        that=len(names) == len(found) == len(prompts),
        otherwise=f"{len(found)} results for {len(names)} names",
    )
    report.expect_none("prompts_not_bought_twice", _uneven(stage, prompts, 2))


async def _by_half(
    report: Report, stage: Stage, library: Library, prompts: Sequence[str]
) -> None:
    batch = await library.upload(prompts)
    await library.until(batch.id, completed=len(prompts) / 2)
    begun = time.monotonic()
    await library.openai.batches.cancel(batch.id)
    batch = await library.until(batch.id)
    report.note(canceled_at=len(prompts) // 2, cancel_s=time.monotonic() - begun)
    made = {prompts[int(name)] for name in await library.output(batch)}
    counted = Counter(call.prompt for call in calls(stage.ledger))
    bought = {prompt for prompt, times in counted.items() if times > 2}
    report.note(made=len(made), status=batch.status)
    report.expect_none("begun_and_not_made_or_made_unbegun", made ^ bought)
    counts = batch.request_counts
    report.expect(
        that=counts.completed == len(made) < len(prompts)
        and counts.total == counts.completed + counts.failed + counts.canceled,
        otherwise=f"counts do not add up: {counts}",
    )


def _uneven(stage: Stage, prompts: Sequence[str], times: int) -> list[str]:
    counted = Counter(call.prompt for call in calls(stage.ledger))
    wanted = Counter(prompts)
    return [p for p in wanted if counted[p] != times * wanted[p]]


async def _lines(prompts: Sequence[str]) -> AsyncIterator[bytes]:
    for number, prompt in enumerate(prompts):
        yield orjson.dumps({"custom_id": str(number), "prompt": prompt}) + b"\n"
        if not number % 100:
            await asyncio.sleep(0)


async def many(*, lines: int, runs: int, start_ms: float, cast: Cast) -> Report:
    """Hand in more lines than anybody could make meanwhile, and look who feels it.

    Args:
        lines: Of the batch.
        runs: Jobs that somebody waits for, one after the other.
        start_ms: When 95 of 100 of them must have started.
        cast: Who plays.
    """
    report = Report(f"a batch of {lines:,} lines")
    async with on_stage(cast) as stage, _library(stage) as library:
        await _warm_up(stage, library)
        before, growth = await _memory(stage), _Growth(stage)
        watching = asyncio.create_task(growth.watch())
        begun = time.monotonic()
        batch = await library.send(_lines([f"a fox, {n}" for n in range(lines)]))
        report.note(accepted_s=time.monotonic() - begun)
        after = await _memory(stage)
        first = await library.results(batch["id"], most=1)
        report.note(first_result_s=time.monotonic() - begun)
        starts = await _interactive(stage, runs)
        running = await library.read(batch["id"])
        await library.openai.batches.cancel(batch["id"])
        report.note(cancel_s=time.monotonic() - begun)
        watching.cancel()
        per_line = (after - before) / (lines - running.request_counts.completed)
    report.note(begun_lines=running.request_counts.completed, first=len(first))
    report.note(door_grew_mb=growth.most / 2**20, redis_bytes_per_line=per_line)
    report.note(start_p95_ms=_p95(starts), start_worst_ms=max(starts))
    report.expect(
        that=running.status == "in_progress", otherwise=f"it was {running.status}"
    )
    report.expect(
        that=growth.most < _MOST_GROWN,
        otherwise=f"the front door grew by {growth.most / 2**20:.0f} MB",
    )
    report.expect(
        that=per_line < _MOST_PER_LINE, otherwise=f"{per_line:.0f} bytes per line"
    )
    report.expect(
        that=_p95(starts) < start_ms,
        otherwise=f"interactive jobs start after {_p95(starts):.0f} ms",
    )
    return report


async def _warm_up(stage: Stage, library: Library) -> None:
    """Let everything be imported and connected that ever is."""
    batch = await library.send(_lines([f"a hare, {n}" for n in range(200)]))
    await library.results(batch["id"])
    await asyncio.sleep(_SETTLED_S)


async def _memory(stage: Stage) -> int:
    return int((await stage.redis.info("memory"))["used_memory"])


async def _interactive(stage: Stage, runs: int) -> list[float]:
    """Return after how many ms jobs of somebody else start, one after the other."""
    accounts = Accounts(stage.redis, Limits())
    _, secret = await accounts.create(Grant(account="guest"))
    headers, starts = {"Authorization": f"Bearer {secret}"}, list[float]()
    async with aiohttp.ClientSession(stage.base_url, headers=headers) as http:
        for number in range(runs):
            job = {"model": MODEL, "prompt": f"a hare, {number}"}
            url, body = "/v1/jobs", {**job, "priority": "interactive"}
            async with http.post(url, json=body) as answer:
                job_id = (await answer.json())["id"]
            async with http.get(f"/v1/jobs/{job_id}?wait=30") as answer:
                assert (await answer.json())["status"] == "succeeded"
            times = await stage.redis.hmget(
                keys.job(job_id), "created_ms", "started_ms"
            )
            starts.append(float(times[1]) - float(times[0]))
    return starts


class _Growth:
    """By how much the front door grew, at its largest."""

    def __init__(self, stage: Stage) -> None:
        self._stage, self._at_first = stage, stage.door.memory_bytes()
        self.most = 0

    async def watch(self) -> None:
        while True:
            grown = self._stage.door.memory_bytes() - self._at_first
            self.most = max(self.most, grown)
            await asyncio.sleep(_LOOK_S / 2)


def _p95(times: list[float]) -> float:
    return sorted(times)[math.ceil(0.95 * len(times)) - 1]
