"""Valkey is killed while it takes jobs and its disk is busy; none of them is lost.

What matters is a kill while a sync is under way, so others write to the same disk.
`everysec` is played for comparison: what it loses, `darkroom up` does not.
"""

import asyncio
import contextlib
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from redis.asyncio import Redis

from service.core.errors import QueueUnavailable
from service.job_store import JobStore, keys
from service.job_store.pool import redis_pool
from tests.chaos.report import Report
from tests.fakes.engine import new_job
from tests.fakes.guarded import Guarded
from tests.fakes.valkey import Valkey

Keeping = Literal["up", "strict", "everysec"]

_CALLERS = 16
_LIFE_S = (0.4, 1.6)
_SOME = 1000
_BUSY = """
import os, sys
block = os.urandom(1 << 20)
while True:
    with open(sys.argv[1], "wb") as file:
        for _ in range(96):
            file.write(block)
        file.flush()
        os.fsync(file.fileno())
"""


@dataclass
class Books:
    """What was answered for, and what of it came back."""

    accepted: int = 0
    lost: list[str] = field(default_factory=list)
    lives_s: float = 0
    took_ms: list[float] = field(default_factory=list)


async def run(*, rounds: int, writers: int, keeping: Keeping, seed: int) -> Report:
    """Kill the server so often, while so many others write to its disk."""
    report = Report(f"{rounds} kills of a Valkey that keeps as in `{keeping}`")
    dice, books = random.Random(seed), Books()
    with (
        _folder() as folder,
        _busy_disk(folder, writers),
        _server(folder, keeping) as server,
    ):
        for _ in range(rounds):
            await _live_and_die(server, books, life_s=dice.uniform(*_LIFE_S))
    report.note(seed=seed, callers=_CALLERS, writers_beside=writers)
    report.note(accepted=books.accepted, accepted_per_s=books.accepted / books.lives_s)
    took = statistics.quantiles(books.took_ms, n=100)
    report.note(answer_p50_ms=took[49], answer_p99_ms=took[98])
    if keeping == "everysec":
        report.note(lost=len(books.lost))
    else:
        report.expect_none("lost", books.lost)
    return report


async def _live_and_die(
    server: Guarded | Valkey, books: Books, *, life_s: float
) -> None:
    await asyncio.to_thread(server.start)
    redis = Redis(connection_pool=redis_pool(server.url, timeout_s=10))
    store, accepted = JobStore(redis), list[str]()
    begun = time.monotonic()
    callers = [
        asyncio.create_task(_submit_on(store, accepted, books)) for _ in range(_CALLERS)
    ]
    await asyncio.sleep(life_s)
    server.kill()  # at once: nothing that this process does comes before it
    books.lives_s += time.monotonic() - begun
    await asyncio.gather(*callers)
    await store.aclose()
    await redis.aclose(close_connection_pool=True)
    await asyncio.to_thread(server.start)
    books.accepted += len(accepted)
    books.lost += await _missing(server.url, accepted)
    server.kill()


async def _submit_on(store: JobStore, accepted: list[str], books: Books) -> None:
    with contextlib.suppress(QueueUnavailable):
        while True:
            asked = time.perf_counter()
            accepted.append((await store.submit(new_job())).job_id)
            books.took_ms.append((time.perf_counter() - asked) * 1000)


async def _missing(url: str, job_ids: list[str]) -> list[str]:
    missing = []
    async with Redis.from_url(url) as redis:
        for begin in range(0, len(job_ids), _SOME):
            some = job_ids[begin : begin + _SOME]
            async with redis.pipeline(transaction=False) as pipe:
                for job_id in some:
                    pipe.exists(keys.job(job_id))
                there = await pipe.execute()
            missing += [
                i for i, is_there in zip(some, there, strict=True) if not is_there
            ]
        await redis.flushall()
    return missing


@contextlib.contextmanager
def _server(folder: Path, keeping: Keeping) -> Iterator[Guarded | Valkey]:
    server = (
        Valkey(folder, appendfsync="everysec")
        if keeping == "everysec"
        else Guarded(folder, strict=keeping == "strict")
    )
    try:
        yield server
    finally:
        server.close()


@contextlib.contextmanager
def _busy_disk(folder: Path, writers: int) -> Iterator[None]:
    processes = [
        subprocess.Popen([sys.executable, "-c", _BUSY, folder / f"other{n}"])
        for n in range(writers)
    ]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="durability-") as name:
        yield Path(name)
