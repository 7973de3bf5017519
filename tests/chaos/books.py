"""Settles what happened, by the records, the ledger and the images, never by logs."""

import asyncio
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image

from tests.chaos.client import Client
from tests.chaos.watch import Watcher

_AT_ONCE = 16


@dataclass(frozen=True)
class Call:
    """One call that reached the upstream."""

    prompt: str
    received_ms: float


def calls(ledger: Path) -> list[Call]:
    """Return the calls that have begun, answered or not."""
    if not ledger.exists():
        return []
    lines = [json.loads(line) for line in ledger.read_bytes().splitlines()]
    return [
        Call(line["prompt"], datetime.fromisoformat(line["at"]).timestamp() * 1000)
        for line in lines
        if line["event"] == "received"
    ]


def answered(ledger: Path) -> int:
    """Return how many calls were answered, that is: paid for."""
    return sum(b'"answered"' in line for line in ledger.read_bytes().splitlines())


def failed(ledger: Path) -> int:
    """Return how many calls the upstream spoiled."""
    return sum(b'"failed"' in line for line in ledger.read_bytes().splitlines())


def late_calls(
    ledger: Path, *, images: Path, jobs: Mapping[str, str], watcher: Watcher
) -> list[str]:
    """Return calls that began when the job's images were stored, or it had ended.

    Args:
        ledger: The upstream's.
        images: Folder of the local image store.
        jobs: Prompts to job ids.
        watcher: Knows when each job ended.
    """
    late = []
    stored = {prompt: _stored_ms(images / "jobs" / jobs[prompt]) for prompt in jobs}
    for call in calls(ledger):
        seen = watcher.seen.get(jobs.get(call.prompt, ""))
        ended_ms = seen.completed_ms if seen and seen.completed_ms else float("inf")
        after_ms = call.received_ms - min(stored.get(call.prompt, 0), ended_ms)
        if after_ms > 0:
            late.append(f"{call.prompt!r} was asked for {after_ms:.0f} ms too late")
    return late


def _stored_ms(folder: Path) -> float:
    receipts = [path.stat().st_mtime for path in folder.glob("*/receipt.json")]
    return min(receipts, default=float("inf")) * 1000


@dataclass(frozen=True)
class Gallery:
    """All images of an account, as a client gets them.

    Attributes:
        distinct: How many different ones there are.
        wrong: What is not as the record says, in words.
    """

    distinct: int
    wrong: list[str]


async def visit(client: Client, *, prompts: Mapping[str, str]) -> Gallery:
    """Fetch each image by its signed URL; compare, decode and count.

    Args:
        client: Of the account.
        prompts: Job ids to the prompts they were submitted with.
    """
    wrong, hashes = list[str](), set[str]()
    gate = asyncio.Semaphore(_AT_ONCE)

    async def look(job: dict[str, Any]) -> None:
        if job["request"]["prompt"] != prompts.get(job["id"]):
            wrong.append(f"{job['id']} has another prompt, or nobody submitted it")
        if job["status"] != "succeeded":
            return
        for image in job["result"]["data"]:
            async with gate:
                data = await client.image(image["url"])
            wrong.extend(f"{job['id']} {fault}" for fault in _faults(data, image))
            hashes.add(hashlib.sha256(data).hexdigest())

    async with asyncio.TaskGroup() as group:
        async for job in client.jobs():
            group.create_task(look(job))
    return Gallery(len(hashes), wrong)


def _faults(data: bytes, image: Mapping[str, Any]) -> Iterable[str]:
    if hashlib.sha256(data).hexdigest() != image["sha256"]:
        yield "has other bytes than its record says"
        return
    with Image.open(BytesIO(data)) as picture:
        picture.load()
        if picture.size != (image["width"], image["height"]):
            yield f"is {picture.size}"
