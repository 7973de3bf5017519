"""Each thing that can be away is taken away, and `/readyz` is timed until it says so.

Only a Redis that takes no writes makes it red; a store or workers that are away are
named in its body, and front doors stay in the balancer.
"""

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

from tests.chaos.client import Answer
from tests.chaos.report import Report
from tests.chaos.stage import Cast, Stage, on_stage

_WITHIN_S = 15.0
_GIVEN_UP_S = 40.0
_LOOK_S = 0.1

_Fault = Callable[[Stage], contextlib.AbstractAsyncContextManager[None]]


@contextlib.asynccontextmanager
async def _frozen(stage: Stage) -> AsyncIterator[None]:
    stage.valkey.freeze()
    yield
    stage.valkey.thaw()


@contextlib.asynccontextmanager
async def _read_only(stage: Stage) -> AsyncIterator[None]:
    await stage.redis.replicaof("127.0.0.1", "1")
    yield
    await stage.redis.replicaof("NO", "ONE")


@contextlib.asynccontextmanager
async def _full(stage: Stage) -> AsyncIterator[None]:
    await stage.redis.config_set("maxmemory", 1)
    yield
    await stage.redis.config_set("maxmemory", 0)


@contextlib.asynccontextmanager
async def _without_workers(stage: Stage) -> AsyncIterator[None]:
    for worker in stage.workers:
        worker.kill()
    yield
    for worker in stage.workers:
        worker.start()


@contextlib.asynccontextmanager
async def _without_store(stage: Stage) -> AsyncIterator[None]:
    aside = stage.images.with_name("aside")
    stage.images.rename(aside)
    stage.images.touch()
    yield
    stage.images.unlink()
    aside.rename(stage.images)


def _is_red(answer: Answer) -> bool:
    return answer.status == 503 and _says(answer, "queue") != "ok"


def _names_no_worker(answer: Answer) -> bool:
    return answer.status == 200 and _says(answer, "workers") == 0


def _names_the_store(answer: Answer) -> bool:
    return answer.status == 200 and _says(answer, "store") == "unavailable"


def _says(answer: Answer, name: str) -> Any:
    return answer.body.get(name)


_FAULTS: Mapping[str, tuple[_Fault, Callable[[Answer], bool]]] = {
    "frozen": (_frozen, _is_red),
    "read_only": (_read_only, _is_red),
    "full": (_full, _is_red),
    "no_worker": (_without_workers, _names_no_worker),
    "no_store": (_without_store, _names_the_store),
}


async def run(*, rounds: int, seed: int, cast: Cast) -> Report:
    """Take each away so often, at a random moment of the looks that are taken."""
    report = Report("what the health page says, and when")
    dice = random.Random(seed)
    report.note(seed=seed, rounds_of_each=rounds, allowed_s=_WITHIN_S)
    async with on_stage(cast) as stage:
        await _until(stage, lambda answer: not _ails(answer))
        for name, (fault, shows) in _FAULTS.items():
            said, well = [], []
            for _ in range(rounds):
                await asyncio.sleep(dice.uniform(0, 5))
                async with fault(stage):
                    said.append(await _until(stage, shows))
                well.append(await _until(stage, lambda answer: not _ails(answer)))
            report.note(**{f"{name}_said_s": max(said), f"{name}_well_s": max(well)})
            late = [s for s in (*said, *well) if s > _WITHIN_S]
            report.expect(that=not late, otherwise=f"{name}: {late}")
    return report


def _ails(answer: Answer) -> bool:
    sick = _is_red(answer) or _names_no_worker(answer) or _names_the_store(answer)
    return sick or answer.status != 200 or _says(answer, "store") != "ok"


async def _until(stage: Stage, is_so: Callable[[Answer], bool]) -> float:
    """Return how long it took, or how long it was waited for."""
    begun = time.monotonic()
    while not is_so(await stage.client.readiness()):
        if time.monotonic() - begun > _GIVEN_UP_S:
            break
        await asyncio.sleep(_LOOK_S)
    return time.monotonic() - begun
