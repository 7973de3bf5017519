"""The queues: which script in which Python, and how far one has come."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from redis import Redis

from service.job_store import keys
from tests.bench.peers import OURS, theirs
from tests.bench.stand import Process, process
from tests.fakes.valkey import Valkey


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """One queue under test.

    Attributes:
        python: Finds the Python that has it.
        done: Jobs finished, out of so many; read from its own keys, so that
            counting costs it nothing.
    """

    module: str
    python: Callable[[], Path]
    done: Callable[["Redis[bytes]", int], int]

    def do(self, command: str, server: Valkey, jobs: int) -> None:
        """Run `fill` or `send` to its end."""
        with process(self.python(), self.module, command, server.url, str(jobs)) as p:
            p.wait()


def timed(
    worker: Process, done: Callable[[], int], *, since: int, until: int
) -> tuple[int, float]:
    """Return how many jobs were finished between these two, and in how many seconds."""
    worker.wait_until(lambda: done() >= since, every_s=0.001)
    begun, first = time.perf_counter(), done()
    worker.wait_until(lambda: done() >= until, every_s=0.001)
    last = done()
    return last - first, time.perf_counter() - begun


def _acknowledged(redis: "Redis[bytes]", jobs: int) -> int:
    [group] = redis.xinfo_groups("taskiq")
    return (group["entries-read"] or 0) - group["pending"]


_HERE = "tests.bench.contenders"
DARKROOM = Queue(
    module=f"{_HERE}.darkroom_queue",
    python=lambda: OURS,
    done=lambda redis, jobs: redis.zcard(keys.RETENTION),
)
ARQ = Queue(
    module=f"{_HERE}.arq_queue",
    python=lambda: OURS,
    done=lambda redis, jobs: jobs - redis.zcard("arq:queue"),
)
SAQ = Queue(
    module=f"{_HERE}.saq_queue",
    python=theirs,
    done=lambda redis, jobs: jobs - redis.zcard("saq:default:incomplete"),
)
TASKIQ = Queue(module=f"{_HERE}.taskiq_queue", python=theirs, done=_acknowledged)
