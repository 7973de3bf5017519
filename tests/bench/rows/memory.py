"""What memory a job takes in Redis, a call in a worker, a stream in a front door."""

import asyncio
import resource
import signal
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import orjson
from redis import Redis

from service.core.jobs import JobState
from service.job_store import keys
from service.job_store.records import request_json
from tests.bench.contenders._queue import REQUEST
from tests.bench.contenders.darkroom_queue import new_job
from tests.bench.figures import Effort, Goal, Row, Sample, Skipped
from tests.bench.peers import OURS
from tests.bench.rows._doors import darkroom_process
from tests.bench.rows._jobs import jobs_in
from tests.bench.rows._queues import ARQ
from tests.bench.stand import Process, process, valkey
from tests.fakes.valkey import Valkey

_JOBS = 20_000
_CALLS = 1000
_STREAMS = 10_000
_PAYLOAD = request_json(new_job(REQUEST).request)
_FOLLOWED = 100
_SPARE_FILES = 500
_OWN_WORDS = ("mem_clients_normal", "mem_aof_buffer")
_KB, _MB = 1024, 2**20
_HERE = "tests.bench.contenders"
_CATALOG = """
[providers.slow]
adapter = "openai"
base_url = "http://127.0.0.1:{port}/v1"
timeout_s = 300
[models."bench/slow"]
routes = ["slow/slow"]
sizes = ["1024x1024"]
"""


def _bytes(
    payload: bytes, write: Callable[[Valkey, int], object], effort: Effort
) -> Sample:
    """Return what a job takes, `payload` left out and Redis's own buffers."""
    jobs = int(_JOBS * effort.scale)
    with valkey() as server, Redis(unix_socket_path=str(server.socket)) as redis:
        before = _used(redis)
        write(server, jobs)
        each = (_used(redis) - before) / jobs
    return {"B/job": each - len(payload), "with payload": each}


def _used(redis: "Redis[bytes]") -> int:
    memory = redis.info("memory")
    return int(memory["used_memory"] - sum(memory[name] for name in _OWN_WORDS))


def _ours_in(state: JobState) -> Callable[[Effort], Sample]:
    def write(server: Valkey, jobs: int) -> None:
        asyncio.run(jobs_in(state, jobs, url=server.url))

    return partial(_bytes, _PAYLOAD, write)


_ARQ = partial(_bytes, orjson.dumps(REQUEST), partial(ARQ.do, "fill"))


def _calls(effort: Effort) -> Sample:
    """Return a worker's memory while it waits for all its slots' calls."""
    calls = int(_CALLS * effort.scale)
    with (
        process(OURS, f"{_HERE}.slow_upstream", str(calls)) as upstream,
        valkey() as server,
        Redis(unix_socket_path=str(server.socket)) as redis,
        _worker(server, upstream.line(), slots=calls) as worker,
    ):
        worker.wait_until(lambda: redis.zcard(keys.WORKERS) > 0, every_s=0.05)
        idle, jobs = _rss(worker), (JobState.QUEUED, calls)
        asyncio.run(jobs_in(*jobs, url=server.url, model="bench/slow"))
        worker.wait_until(lambda: "held" in upstream.said(), every_s=0.1)
        held = _rss(worker)
        upstream.send(signal.SIGUSR1)
        worker.wait_until(lambda: redis.zcard(keys.RETENTION) >= calls, every_s=0.1)
        most = _status(worker, "VmHWM")
    return {
        "MB": held / _MB,
        "KB/call": (held - idle) / calls / _KB,
        "idle MB": idle / _MB,
        "most MB as all are answered": most / _MB,
    }


@contextmanager
def _worker(server: Valkey, port: str, *, slots: int) -> Iterator[Process]:
    with tempfile.TemporaryDirectory() as folder:
        catalog = Path(folder) / "catalog.toml"
        catalog.write_text(_CATALOG.format(port=port))
        settings = {
            "DARKROOM_REDIS_URL": server.url,
            "DARKROOM_DATA_DIR": folder,
            "DARKROOM_CATALOG_FILE": str(catalog),
            "DARKROOM_WORKER__MAX_JOBS": str(slots),
        }
        with process(OURS, "workers", **settings) as worker:
            yield worker


def _streams(effort: Effort) -> Sample:
    """Return what a front door takes for each of those that follow jobs."""
    count = int(_STREAMS * effort.scale)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most < count + _SPARE_FILES:
        raise Skipped(f"{most:,} open files are allowed here, {count:,} are too few")
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with valkey() as server:
        ids = asyncio.run(jobs_in(JobState.QUEUED, _FOLLOWED, url=server.url))
        own = {"DARKROOM_LIMITS__STREAMS": str(count)}
        with darkroom_process(server, **own) as (door, port):
            before = _rss(door)
            words = (str(port), str(count), *ids)
            with process(OURS, f"{_HERE}.streams", *words) as followers:
                followers.line()
                after = _rss(door)
    return {"KB/stream": (after - before) / count / _KB, "door MB": after / _MB}


def _rss(running: Process) -> int:
    return _status(running, "VmRSS")


def _status(running: Process, name: str) -> int:
    """Return a figure of the process alone, in bytes."""
    text = Path(f"/proc/{running.pid}/status").read_text()
    fields = dict(line.split(":", 1) for line in text.splitlines())
    return int(fields[name].split()[0]) * _KB


MEMORY = Row(
    name="memory",
    title="Memory of a job in Redis",
    about=(
        f"{_JOBS:,} jobs of one account on an empty server with the settings of "
        "`darkroom up`: what `used_memory` grows by, divided by their number, without "
        "the buffers of clients and file and without the request itself "
        f"({len(_PAYLOAD)} bytes as we write it). Record, entry in the queue, "
        "listing, quota and the account's stream of events are "
        "in it. `succeeded` has an attempt and an image on record, `failed` an attempt "
        "and an error. A caller's Idempotency-Key is about 180 bytes more for a day; "
        "a line of a batch whose turn has not come takes none."
    ),
    figure="B/job",
    more_is_better=False,
    contenders={
        "Darkroom, queued": _ours_in(JobState.QUEUED),
        "Darkroom, running": _ours_in(JobState.RUNNING),
        "Darkroom, succeeded": _ours_in(JobState.SUCCEEDED),
        "Darkroom, failed": _ours_in(JobState.FAILED),
        "Darkroom, canceled": _ours_in(JobState.CANCELED),
        "arq, queued": _ARQ,
    },
    goals=(Goal(rivals=(), reach=900, aim=600),),
)

CALLS = Row(
    name="calls",
    title="Memory of a worker whose calls wait",
    about=(
        f"One worker process with {_CALLS:,} slots, each in a call of a provider that "
        "does not answer yet: resident memory of the process. Then all are answered "
        "at once, each with an image of 100 KB, and the most it ever took is read when "
        "the last is stored. Its processes for decoding, two, are not in it; they do "
        "not grow with the calls."
    ),
    figure="MB",
    more_is_better=False,
    contenders={"Darkroom": _calls},
    goals=(Goal(rivals=(), reach=300),),
)

STREAMS = Row(
    name="streams",
    title="Memory of a stream of events",
    about=(
        f"One front door, and {_STREAMS:,} connections that follow {_FOLLOWED} queued "
        "jobs (`GET /v1/jobs/{id}/events`), held by another process: what the front "
        "door's resident memory grows by, divided by their number. What the kernel "
        "keeps of the sockets is not in it."
    ),
    figure="KB/stream",
    more_is_better=False,
    contenders={"Darkroom": _streams},
    goals=(Goal(rivals=(), reach=15),),
)
