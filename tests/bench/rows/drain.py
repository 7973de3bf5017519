"""How many no-op jobs a second one worker process finishes."""

from functools import partial

from redis import Redis

from tests.bench.figures import Effort, Goal, Row, Sample
from tests.bench.rows._queues import ARQ, DARKROOM, SAQ, TASKIQ, Queue, timed
from tests.bench.stand import process, valkey

_JOBS = 5_000
_OUR_JOBS = 20_000


def _drain(queue: Queue, jobs: int, effort: Effort) -> Sample:
    jobs = int(jobs * effort.scale)
    with valkey() as server, Redis(unix_socket_path=str(server.socket)) as redis:
        queue.do("fill", server, jobs)
        with process(queue.python(), queue.module, "work", server.url) as worker:
            # Starting up does not count: the clock runs from the tenth part on.
            finished, took_s = timed(
                worker,
                lambda: queue.done(redis, jobs),
                since=jobs // 10,
                until=jobs,
            )
    return {"jobs/s": finished / took_s}


DRAIN = Row(
    name="drain",
    title="Drain of no-op jobs, one worker process",
    about=(
        "Each job's request is decoded, and nothing is done. Ours keeps a record, "
        "takes a lease under a fence, commits an outcome with one image and writes "
        f"events. {_JOBS:,} jobs are queued for each peer and {_OUR_JOBS:,} for us; "
        "the clock runs from 10 % to 100 %. All: at most 100 jobs at once, orjson, "
        "uvloop, hiredis, no stored results; arq polls every 10 ms; taskiq works "
        "on a Redis stream."
    ),
    figure="jobs/s",
    more_is_better=True,
    contenders={
        "Darkroom": partial(_drain, DARKROOM, _OUR_JOBS),
        "arq, tuned": partial(_drain, ARQ, _JOBS),
        "SAQ": partial(_drain, SAQ, _JOBS),
        "taskiq": partial(_drain, TASKIQ, _JOBS),
    },
    goals=(Goal(rivals=("SAQ", "taskiq"), reach=5, aim=8),),
)
