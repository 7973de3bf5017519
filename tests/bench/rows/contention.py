"""Several worker processes on one queue, and several front doors before one Valkey."""

import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial

from redis import Redis

from tests.bench.figures import Effort, Row, Sample
from tests.bench.rows._doors import darkroom, load
from tests.bench.rows._queues import DARKROOM, timed
from tests.bench.stand import process, valkey

_JOBS = 30_000
_SECONDS = 3.0


def _drain(count: int, effort: Effort) -> Sample:
    jobs = int(_JOBS * effort.scale)
    with (
        valkey() as server,
        Redis(unix_socket_path=str(server.socket)) as redis,
        ExitStack() as stack,
    ):
        words = (DARKROOM.python(), DARKROOM.module, "work", server.url)
        workers = [stack.enter_context(process(*words)) for _ in range(count)]
        workers[0].wait_until(
            lambda: redis.info("clients")["blocked_clients"] >= count, every_s=0.02
        )
        with ExitStack() as pauses:
            for worker in workers:
                pauses.enter_context(worker.paused())
            DARKROOM.do("fill", server, jobs)
        finished, took_s = timed(
            workers[0],
            lambda: DARKROOM.done(redis, jobs),
            since=jobs // 10,
            until=jobs,
        )
    return {"jobs/s": finished / took_s, "of each": finished / took_s / count}


def _accept(count: int, effort: Effort) -> Sample:
    with valkey() as server, ExitStack() as stack:
        ports = [stack.enter_context(darkroom(server)) for _ in range(count)]
        seconds = _SECONDS * effort.scale
        with ThreadPoolExecutor(count) as clients:
            figures = list(clients.map(lambda p: load(p, seconds, "accept"), ports))
    total = sum(each["answers/s"] for each in figures)
    return {"jobs/s": total, "of each": total / count}


WORKERS = Row(
    name="workers",
    title="Drain by several worker processes",
    about=(
        f"{_JOBS:,} no-op jobs as in the row of one worker. All processes listen when "
        "the jobs come, and are let go at once; the clock runs from 10 % to 100 %. "
        "All of them, and Valkey, which takes every step of every job alone, share "
        f"the {os.cpu_count()} cores of the machine: the second process finds the "
        "cores busy."
    ),
    figure="jobs/s",
    more_is_better=True,
    contenders={
        "1 worker": partial(_drain, 1),
        "2 workers": partial(_drain, 2),
        "4 workers": partial(_drain, 4),
    },
    goals=(),
)

DOORS = Row(
    name="doors",
    title="Accept by several front doors",
    about=(
        "64 connections for each front door, as in the row of one, and one Valkey. "
        f"Here, too, {os.cpu_count()} cores carry front doors, clients and Valkey "
        "together."
    ),
    figure="jobs/s",
    more_is_better=True,
    contenders={
        "1 front door": partial(_accept, 1),
        "2 front doors": partial(_accept, 2),
    },
    goals=(),
)
