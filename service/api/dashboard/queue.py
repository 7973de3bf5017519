"""The queue: how deep it is, whose turn it is, and who works at what. For operators."""

import asyncio
from collections import defaultdict
from typing import NamedTuple

from aiohttp import web
from redis.exceptions import RedisError

from service.accounts import ApiKey, Scope
from service.api.context import FRONT, Front
from service.api.dashboard.depths import DEPTHS
from service.api.dashboard.frame import Pages
from service.api.dashboard.rendering import page
from service.core.errors import QueueUnavailable
from service.job_store.standing import (
    LiveWorker,
    RunningJob,
    Standing,
    read_standing,
)

pages = Pages(scope=Scope.ADMIN)

_ANSWER_S = 3.0
_MOST_ACCOUNTS = 100
_MOST_SHOWN = 8


class Share(NamedTuple):
    """What an account has under way.

    Attributes:
        weight: Its share of the fleet next to others.
        due: Of a hundred slots, if all who want some had their share.
        has: Of a hundred that are taken.
    """

    account: str
    weight: int
    open: int
    running: int
    due: float
    has: float


class Worker(NamedTuple):
    """One worker process.

    Attributes:
        host: Where it runs.
        process: Which process there.
        alive: What it says of itself; None: it takes no jobs any more.
        silent: It did not sign off; otherwise it drains.
        jobs: What it runs, the longest first; the first few.
        running: How many that are.
    """

    host: str
    process: str
    alive: LiveWorker | None
    silent: bool
    jobs: list[RunningJob]
    running: int


@pages.get("/ui/queue")
async def show_queue(request: web.Request, key: ApiKey) -> web.StreamResponse:
    """Show the queue as it is now, and as it was in the last hour."""
    front = request.app[FRONT]
    standing = await _standing(front)
    seen = request.app[DEPTHS]
    looks = list(seen)
    return page(
        request,
        "queue.html",
        key=key,
        part="queue",
        standing=standing,
        depth=standing.depth,
        shares=await _shares(front),
        workers=_workers(standing),
        times=[round(look.at_s) for look in looks],
        curves={
            "ready": [look.depth.ready + look.depth.interrupted for look in looks],
            "batch": [look.depth.batch for look in looks],
            "blocked": [look.depth.blocked for look in looks],
        },
    )


async def _standing(front: Front) -> Standing:
    try:
        async with asyncio.timeout(_ANSWER_S):
            return await read_standing(front.backends.redis)
    except (RedisError, OSError, TimeoutError) as exc:
        raise QueueUnavailable("the queue cannot be looked at just now") from exc


async def _shares(front: Front) -> list[Share]:
    accounts = front.backends.accounts
    weights: dict[str, int] = defaultdict(int)
    for one in await accounts.list():
        weights[one.account] = max(weights[one.account], one.weight)
    names = list(weights)[:_MOST_ACCOUNTS]
    loads = await asyncio.gather(*(accounts.loads.of(name) for name in names))
    wanting = {n: load for n, load in zip(names, loads, strict=True) if load.open}
    whole = sum(weights[name] for name in wanting)
    running = sum(load.running for load in wanting.values())
    shares = [
        Share(
            name,
            weights[name],
            load.open,
            load.running,
            100 * weights[name] / whole,
            100 * load.running / running if running else 0.0,
        )
        for name, load in wanting.items()
    ]
    return sorted(shares, key=lambda share: -share.open)


def _workers(standing: Standing) -> list[Worker]:
    """Return those that take jobs, and those that only hold some."""
    held: dict[str, list[RunningJob]] = defaultdict(list)
    for job in standing.running:
        held[job.worker].append(job)
    names = sorted({*standing.workers, *held})
    return [_worker(name, standing, held[name]) for name in names]


def _worker(name: str, standing: Standing, jobs: list[RunningJob]) -> Worker:
    host, _, rest = name.partition(":")
    longest = sorted(jobs, key=lambda job: job.since.timestamp() if job.since else 0.0)
    return Worker(
        host,
        rest.partition(":")[0],
        standing.workers.get(name),
        name in standing.silent,
        longest[:_MOST_SHOWN],
        len(jobs),
    )
