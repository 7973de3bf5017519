"""How long a job waits on an idle queue."""

import statistics
from functools import partial

from tests.bench.figures import Effort, Goal, Row, Sample
from tests.bench.rows._queues import DARKROOM, SAQ, TASKIQ, Queue
from tests.bench.stand import process, valkey

_JOBS = 300
_WARM_UP = 10


def _wait(queue: Queue, effort: Effort) -> Sample:
    jobs = int(_JOBS * effort.scale)
    with (
        valkey() as server,
        process(queue.python(), queue.module, "hear", server.url) as worker,
    ):
        queue.do("send", server, _WARM_UP)
        for _ in range(_WARM_UP):
            worker.line()
        queue.do("send", server, jobs)
        waits_ms = [float(worker.line()) for _ in range(jobs)]
    percentiles = statistics.quantiles(waits_ms, n=100, method="inclusive")
    return {"p50 ms": percentiles[49], "p99 ms": percentiles[98]}


LATENCY = Row(
    name="latency",
    title="Idle queue latency, from submit to started",
    about=(
        f"{_JOBS} jobs, one every 10 ms and more, on an idle queue with one idle "
        "worker: from before the call that enqueues to the first line of the "
        "function, by the machine's monotonic clock."
    ),
    figure="p50 ms",
    more_is_better=False,
    contenders={
        "Darkroom": partial(_wait, DARKROOM),
        "SAQ": partial(_wait, SAQ),
        "taskiq": partial(_wait, TASKIQ),
    },
    goals=(
        Goal(rivals=("taskiq",), reach=1.1, aim=0.8),
        Goal(rivals=("SAQ",), reach=0.8),
    ),
)
