"""Jobs in a state, written by the steps that bring real ones there."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from redis.asyncio import Redis

from service.core.jobs import JobState
from service.job_store import JobStore
from service.job_store.lease import Lease
from service.job_store.leases import Leases
from service.job_store.outcomes import Outcome
from service.job_store.pool import redis_pool
from tests.bench.contenders._queue import REQUEST
from tests.bench.contenders.darkroom_queue import new_job, outcome

_AT_ONCE = 500
_ERROR = {"code": "provider_error", "message": "The provider failed four times."}


async def jobs_in(
    state: JobState, count: int, *, url: str, model: str = REQUEST["model"]
) -> Sequence[str]:
    """Return the ids of as many new jobs."""
    redis = Redis(connection_pool=redis_pool(url, timeout_s=5))
    store, new = (
        JobStore(redis),
        [new_job({**REQUEST, "model": model}) for _ in range(count)],
    )
    leases = Leases(redis, worker="bench", slots=count)
    try:
        await _each(store.submit, new)
        if state is JobState.CANCELED:
            await _each(lambda job: store.cancel(job.id, account=job.account), new)
        elif state is not JobState.QUEUED:
            await _run(leases, state, count)
    finally:
        await leases.aclose()
        await store.aclose()
        await redis.aclose(close_connection_pool=True)
    return [job.id for job in new]


async def _run(leases: Leases, state: JobState, count: int) -> None:
    held: dict[str, Lease] = {}
    while len(held) < count:
        claim = await leases.claim(min(_AT_ONCE, count - len(held)), held=held)
        held |= {lease.job_id: lease for lease in claim.leases}
        if state is not JobState.RUNNING:
            await _each(lambda lease: _end(leases, lease, state), claim.leases)


async def _end(leases: Leases, lease: Lease, state: JobState) -> None:
    done = outcome(lease, datetime.now(UTC))
    if state is JobState.FAILED:
        done = Outcome(state=state, attempt=done.attempt, error=_ERROR)
    await leases.commit(lease, done)


async def _each(step: Callable[[Any], Awaitable[object]], items: Iterable[Any]) -> None:
    left = iter(items)
    while these := list(itertools.islice(left, _AT_ONCE)):
        await asyncio.gather(*map(step, these))
