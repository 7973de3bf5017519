"""Many who follow at once: what they cost, and what they hear when a door dies."""

import asyncio
import contextlib
import resource
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import NamedTuple

import aiohttp
import pytest
from redis.asyncio import Redis

from service.core.jobs import JobId
from service.image_store.opening import open_image_store
from service.settings import Settings
from tests.fakes.door import SECRET, FrontDoor
from tests.fakes.front_process import FrontProcess, front_process
from tests.fakes.listener import Frame, listening
from tests.fakes.valkey import Valkey
from tests.fakes.worker import FakeWorker

CROWD, MOST_BYTES = 2000, 15_000
EACH = 5
"""So many of the crowd follow the same job."""
CLIENTS = 200
KEY = {"Authorization": f"Bearer {SECRET}"}


class Door(NamedTuple):
    process: FrontProcess
    url: str


@contextlib.asynccontextmanager
async def opened(valkey: Valkey, folder: Path) -> AsyncIterator[Door]:
    """A front door in a process of its own, at which a key may follow a lot."""
    environment = {
        "DARKROOM_BOOTSTRAP_KEY": SECRET,
        "DARKROOM_LIMITS__STREAMS": str(CROWD + 10),
    }
    async with front_process(valkey.url, folder, **environment) as process:
        port = (await process.event("door.opened"))["port"]
        reading = asyncio.create_task(process.drop_log())
        yield Door(process, f"http://127.0.0.1:{port}")
        reading.cancel()


async def submitted(url: str, count: int) -> list[JobId]:
    """Submit jobs; return their ids."""
    body = {"model": "test/test", "prompt": "a fox"}
    async with aiohttp.ClientSession(headers=KEY) as http:

        async def submit() -> JobId:
            async with http.post(f"{url}/v1/jobs", json=body) as answer:
                return (await answer.json())["id"]

        return list(await asyncio.gather(*(submit() for _ in range(count))))


@pytest.fixture
def many_files() -> Iterator[None]:
    """Let this process have a socket for each of the crowd."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 3 * CROWD), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


class Follower:
    """A client without a library, so that two thousand of them are cheap here, too."""

    def __init__(self, job_id: JobId) -> None:
        self._job_id = job_id

    async def begin(self, door: Door) -> None:
        self._reader, self._writer = await asyncio.open_connection(
            "127.0.0.1", int(door.url.rpartition(":")[2])
        )
        path = f"/v1/jobs/{self._job_id}/events"
        lines = (f"GET {path} HTTP/1.1", "Host: x", f"Authorization: Bearer {SECRET}")
        self._writer.write("\r\n".join((*lines, "", "")).encode())
        await self._reader.readuntil(b"event: job.queued\n")

    async def end(self) -> bytes:
        rest = await self._reader.read()
        self._writer.close()
        return rest


async def test_two_thousand_followers_cost_less_than_fifteen_kilobytes_each(
    door: FrontDoor,
    shared_valkey: Valkey,
    redis: Redis,
    tmp_path: Path,
    many_files: None,
):
    jobs = await submitted(door.url, CROWD // EACH)
    async with opened(shared_valkey, tmp_path) as crowded:
        followers = [Follower(job_id) for job_id in jobs * EACH]
        await followers[0].begin(crowded)
        before = await crowded.process.memory_bytes()

        for at in range(1, CROWD, 100):
            await asyncio.gather(*(f.begin(crowded) for f in followers[at : at + 100]))
        grown = await crowded.process.memory_bytes() - before

        async with FakeWorker(redis, door.images), asyncio.timeout(30):
            heard = await asyncio.gather(*(f.end() for f in followers))

    assert grown / CROWD < MOST_BYTES
    assert all(text.count(b"event: job.succeeded\n") == 1 for text in heard)


async def followed(doors: list[str], job_id: JobId) -> list[Frame]:
    """Follow a job to its end, as a browser would: come again with the last id."""
    told: list[Frame] = []
    last_id = None
    while not told or not told[-1].name.endswith("succeeded"):
        with contextlib.suppress(aiohttp.ClientError):
            path = f"/v1/jobs/{job_id}/events"
            async with listening(doors[0], path, last_id=last_id) as heard:
                assert heard.status == 200
                async for event in heard.events():
                    told.append(event)
                    last_id = event.id
        await asyncio.sleep(0.01)
    return told


async def test_a_door_that_is_killed_costs_its_followers_nothing(
    shared_valkey: Valkey, redis: Redis, tmp_path: Path
):
    images = open_image_store(Settings(data_dir=tmp_path))
    async with (
        opened(shared_valkey, tmp_path) as first,
        opened(shared_valkey, tmp_path) as second,
        FakeWorker(redis, images) as worker,
    ):
        dies = asyncio.Event()

        async def sometime(lease):
            if len(worker.seen) > CLIENTS // 2:
                dies.set()
            await asyncio.sleep(0.001 * (len(worker.seen) % 50))
            return await worker.succeed(lease)

        let, worker.verdict = worker.hold(), sometime
        jobs = await submitted(first.url, CLIENTS)
        doors = [first.url]
        async with asyncio.TaskGroup() as group:
            told = [group.create_task(followed(doors, job_id)) for job_id in jobs]
            await dies.wait()
            doors[0] = second.url
            first.process.signal(signal.SIGKILL)
        let.set()
    await images.close()

    for task, job_id in zip(told, jobs, strict=True):
        events = task.result()
        places = [tuple(map(int, event.id.split("-"))) for event in events]
        assert {event.data["job_id"] for event in events} == {job_id}
        assert places == sorted(set(places))
        assert [e.name for e in events].count("job.succeeded") == 1
