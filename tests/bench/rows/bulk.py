"""How many jobs a second one front-door process accepts as lines of batches."""

from functools import partial

from redis import Redis

from tests.bench.figures import Effort, Goal, Row, Sample
from tests.bench.rows._doors import darkroom, load
from tests.bench.stand import valkey

_SECONDS, _LEAST_S = 4.0, 2.0


def _one_by_one(effort: Effort) -> Sample:
    with valkey() as server, darkroom(server) as port:
        figures = load(port, _SECONDS * effort.scale, "accept")
    return _renamed(figures, lines=1)


def _bulk(lines: int, effort: Effort) -> Sample:
    with (
        valkey() as server,
        Redis(unix_socket_path=str(server.socket)) as redis,
        darkroom(server) as port,
    ):
        figures = load(port, max(_LEAST_S, _SECONDS * effort.scale), "bulk", str(lines))
        queued = float(redis.get("darkroom:queue:open") or 0)
    return {**_renamed(figures, lines=lines), "in the queue by then": queued}


def _renamed(figures: dict[str, float], *, lines: int) -> Sample:
    return {
        "jobs/s": figures["answers/s"] * lines,
        "p50 ms": figures["p50 ms"],
        "client busy": figures["client busy"],
    }


BULK = Row(
    name="bulk",
    title="Accept jobs as lines, one front-door process",
    about=(
        "`POST /v1/batches` with NDJSON, each line a request of 0.5 KB, over 16 "
        "connections, which is as many as one account may send at a time. The answer "
        "comes when every line was validated and held against catalog and key, and "
        "lies in the store. From there lines go to the queue behind the answers, in "
        "what time the process has left. `one by one` is the row of the single "
        "accept: the same requests over 64 connections, `POST /v1/jobs`."
    ),
    figure="jobs/s",
    more_is_better=True,
    contenders={
        "100 lines a request": partial(_bulk, 100),
        "1,000 lines": partial(_bulk, 1000),
        "one by one": _one_by_one,
    },
    goals=(Goal(rivals=("one by one",), reach=10, aim=15),),
)
