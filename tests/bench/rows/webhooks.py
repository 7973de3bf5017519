"""How many webhooks a second one worker process delivers."""

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager

from redis import Redis

from tests.bench.contenders.darkroom_hooks import ENDPOINTS
from tests.bench.figures import Effort, Goal, Row, Sample
from tests.bench.peers import OURS
from tests.bench.stand import process, valkey

_JOBS = 2_000
_HERE = "tests.bench.contenders"
_ABREAST = 100


@contextmanager
def _receiver() -> Iterator[str]:
    with process(OURS, f"{_HERE}.receiver") as running:
        yield f"http://127.0.0.1:{running.line()}"


def _ours(effort: Effort) -> Sample:
    jobs = int(_JOBS * effort.scale)
    whole = jobs * ENDPOINTS
    hooks = f"{_HERE}.darkroom_hooks"
    with (
        _receiver() as url,
        valkey() as server,
        Redis(unix_socket_path=str(server.socket)) as redis,
        tempfile.TemporaryDirectory() as folder,
    ):
        with process(OURS, hooks, "fill", server.url, url, str(jobs)) as filling:
            filling.wait()

        def done() -> int:
            return int(redis.hget("darkroom:deliver:counts", "delivered") or 0)

        with process(OURS, hooks, "work", server.url, folder) as worker:
            # Starting up does not count: the clock runs from the tenth part on.
            worker.wait_until(lambda: done() >= whole // 10, every_s=0.002)
            begun, first = time.perf_counter(), done()
            worker.wait_until(lambda: done() >= whole, every_s=0.005)
            took = time.perf_counter() - begun
    return {"webhooks/s": (whole - first) / took}


def _loop(effort: Effort) -> Sample:
    posts = int(_JOBS * ENDPOINTS * effort.scale)
    loop = f"{_HERE}.post_loop"
    with (
        _receiver() as url,
        process(OURS, loop, url, str(posts), str(_ABREAST)) as posting,
    ):
        return {"webhooks/s": posts / float(posting.line())}


WEBHOOKS = Row(
    name="webhooks",
    title="Deliver webhooks, one worker process",
    about=(
        f"{_JOBS:,} jobs have ended, each told to {ENDPOINTS} endpoints on one host. "
        "Ours claims deliveries under leases, reads the job anew and signs its URLs "
        "and the body for each, checks the address that is called, and writes the log; "
        "the clock runs from 10 % to 100 %. `aiohttp loop` POSTs one body again and "
        f"again, {_ABREAST} abreast, and does nothing else. The receiver only counts."
    ),
    figure="webhooks/s",
    more_is_better=True,
    contenders={"Darkroom": _ours, "aiohttp loop": _loop},
    goals=(Goal(rivals=("aiohttp loop",), reach=0.5, aim=0.9),),
)
