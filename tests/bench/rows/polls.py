"""How often a second one front-door process says how a job stands."""

import asyncio
from functools import partial

from service.core.jobs import JobState
from tests.bench.figures import Effort, Goal, Row, Sample
from tests.bench.rows._doors import darkroom, load, script
from tests.bench.rows._jobs import jobs_in
from tests.bench.stand import valkey

_SECONDS = 3.0
_JOBS = 1000


def _ours(state: JobState, effort: Effort) -> Sample:
    with valkey() as server:
        ids = asyncio.run(jobs_in(state, _JOBS, url=server.url))
        with darkroom(server) as port:
            return _named(load(port, _SECONDS * effort.scale, "poll", *ids))


def _empty(effort: Effort) -> Sample:
    ids = map(str, range(_JOBS))
    with valkey() as server, script("empty_door", server) as port:
        return _named(load(port, _SECONDS * effort.scale, "poll", *ids))


def _named(figures: dict[str, float]) -> Sample:
    return {"polls/s" if k == "answers/s" else k: v for k, v in figures.items()}


POLLS = Row(
    name="polls",
    title="Ask how a job stands, one front-door process",
    about=(
        f"`GET /v1/jobs/{{id}}` over 64 connections, {_JOBS:,} jobs in turn. Ours "
        "authenticates, reads the record anew each time, counts how many jobs start "
        "before a queued one, signs the URL of a succeeded one's image, and logs. "
        "`empty handler` does nothing. With as many callers on either side the ratio "
        "of the p50 is that of the requests, turned over."
    ),
    figure="polls/s",
    more_is_better=True,
    contenders={
        "Darkroom, queued": partial(_ours, JobState.QUEUED),
        "Darkroom, succeeded": partial(_ours, JobState.SUCCEEDED),
        "empty handler": _empty,
    },
    goals=tuple(
        Goal(rivals=("empty handler",), ours=ours, reach=0.4, aim=0.6)
        for ours in ("Darkroom, queued", "Darkroom, succeeded")
    ),
)
