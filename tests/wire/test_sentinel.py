"""A primary dies for good, its replica takes over, and no accepted job is missing."""

import asyncio
import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.core.errors import QueueUnavailable
from service.core.jobs import JobState
from service.job_store import JobStore
from tests.fakes.door import FrontDoor, front_door
from tests.fakes.sentinels import Pair, replicated, watched
from tests.fakes.studio import studio

USER = "darkroom on >hunter2 ~darkroom:* &darkroom:* +@all -@dangerous +info +role"
FOX = {"model": "test/test", "prompt": "a fox", "size": "64x64"}


@pytest.fixture
def pair() -> Iterator[Pair]:
    options = {"min_replicas_to_write": 1, "min_replicas_max_lag": 5}
    with replicated(**options, user=USER) as both:
        yield both


@pytest.fixture
def sentinel(pair: Pair) -> Iterator[str]:
    with watched(pair, login="darkroom:hunter2@") as url:
        yield url


async def test_a_failover_keeps_every_accepted_job_and_the_rest_goes_on(
    pair: Pair, sentinel: str, tmp_path: Path
):
    async with (
        front_door(sentinel, tmp_path, durability="replicated", beat_s=0.5) as door,
        studio(door.settings),
    ):
        before = [await accepted(door, f"before {n}") for n in range(10)]
        asking = [asyncio.create_task(accepted(door, f"amid {n}")) for n in range(40)]
        await asking[0]
        pair.primary.kill()
        pair.leave_alone()
        kept = [task.result() for task in asking if task.done()]
        jobs = door.door.front.backends.jobs
        ends = [await ended(jobs, job_id) for job_id in before + kept]
        for task in asking:
            task.cancel()

    assert len(ends) > len(before)
    assert set(ends) == {JobState.SUCCEEDED}


async def accepted(door: FrontDoor, name: str) -> str:
    """Ask until there is a job of that name; return its id."""
    while True:
        answer = await door.post("/v1/jobs", FOX, Idempotency_Key=name)
        if answer.status == 202:
            return answer.body["id"]
        assert (answer.status, answer.code) == (503, "queue_unavailable")
        await asyncio.sleep(0.1)


async def ended(jobs: JobStore, job_id: str) -> JobState:
    """Return how a job ended, once the new primary is found and it has."""
    async with asyncio.timeout(60):
        while True:
            with contextlib.suppress(QueueUnavailable):
                job = await jobs.get(job_id, account="default")
                if job.state.is_final:
                    return job.state
            await asyncio.sleep(0.05)
