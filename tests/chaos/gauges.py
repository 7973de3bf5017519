"""What must not grow, read again and again: of each process, of Redis, of the disk."""

import asyncio
import contextlib
import json
import math
import os
import statistics
import time
from collections import Counter
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from pathlib import Path

from tests.chaos.counted import counts_of
from tests.chaos.program import Program
from tests.chaos.stage import Stage

RUNS = ("tests.chaos.counted",)
"""What front door and workers are run through, so that they count."""
MARKS = "marks"
"""Keys by which an owner is told for a month that a job or a file was deleted."""
GONE = "gone"
_MARKS_ABOVE_S = {"file": 0, "alias": 86_400}
"""What lives of these for longer is a mark; a file that is there has no such end."""
_LOOK_S = 0.1
_GROWTH_EVERY_S = 2.0
_SCAN = 5000
_MB = 2**20

Sample = Mapping[str, float]


async def keys_by_kind(stage: Stage) -> Counter[str]:
    """Count all keys by the word behind `darkroom:`, marks apart."""
    kinds: Counter[str] = Counter()
    async for key in stage.redis.scan_iter(count=_SCAN):
        kind = key.decode().split(":")[1]
        least_s = _MARKS_ABOVE_S.get(kind)
        stays = least_s is not None and await stage.redis.ttl(key) > least_s
        if stays or kind == GONE:
            kind = MARKS
        kinds[kind] += 1
    return kinds


def stored_files(stage: Stage, but: Collection[str] = ()) -> int:
    """Count what lies in the store: files, and folders of single jobs.

    Args:
        stage: Whose store.
        but: Names of folders that are passed by.
    """
    found = 0
    for folder, folders, files in os.walk(stage.images):
        folders[:] = (name for name in folders if name not in but)
        is_shared = Path(folder) == stage.images
        found += len(files) + (0 if is_shared else len(folders))
    return found


async def read(stage: Stage) -> Sample:
    """Read every gauge once; what a process counted before it was asked is old."""
    kinds = await keys_by_kind(stage)
    memory = await stage.redis.info("memory")
    sample = {
        "keys": kinds.total() - kinds[MARKS],
        "redis_mb": memory["used_memory"] / _MB,
        "stored_files": stored_files(stage),
    }
    for name, program in _programs(stage):
        counts = await _counts(stage, program)
        sample |= {f"{name}_{what}": count for what, count in counts.items()}
        sample[f"{name}_rss_mb"] = program.memory_bytes() / _MB
    return sample


def _programs(stage: Stage) -> list[tuple[str, Program]]:
    workers = [(f"worker{n}", worker) for n, worker in enumerate(stage.workers)]
    return [("door", stage.door), *workers]


async def _counts(stage: Stage, program: Program) -> dict[str, int]:
    file, asked_s = counts_of(stage.folder, program.pid), time.time()
    async with asyncio.timeout(10):
        while not file.exists() or file.stat().st_mtime < asked_s:
            await asyncio.sleep(_LOOK_S)
    counts: dict[str, int] = json.loads(file.read_text())
    return counts


def _memory_mb(stage: Stage) -> dict[str, float]:
    return {name: program.memory_bytes() / _MB for name, program in _programs(stage)}


class Growth:
    """By how much each process grew, at its largest, in MB.

    Attributes:
        most: Since it was made, by the process's name; to be read when the watch ends.
    """

    def __init__(self, stage: Stage) -> None:
        self._stage, self._before = stage, _memory_mb(stage)
        self.most = dict.fromkeys(self._before, -math.inf)

    @contextlib.asynccontextmanager
    async def watched(self) -> AsyncIterator[None]:
        """Look while the context is open, and once more at its end."""
        watching = asyncio.create_task(self._watch())
        yield
        watching.cancel()
        await self._look()

    async def _watch(self) -> None:
        while True:
            await self._look()
            await asyncio.sleep(_GROWTH_EVERY_S)

    async def _look(self) -> None:
        """Let a thread ask: to fork here would hold up those who are timed."""
        now = await asyncio.to_thread(_memory_mb, self._stage)
        for name, now_mb in now.items():
            self.most[name] = max(self.most[name], now_mb - self._before[name])


def halves(samples: Sequence[Sample], name: str) -> tuple[float, float]:
    """Return the medians of a gauge over the two halves of all but the first quarter.

    The first quarter is for warming up: connections, caches, arenas of memory.
    """
    steady = [sample[name] for sample in samples[len(samples) // 4 :]]
    middle = len(steady) // 2
    return statistics.median(steady[:middle]), statistics.median(steady[middle:])
