"""The worker's side of the records: claim, renew, commit, give back."""

import asyncio
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import orjson
import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from service.core.jobs import Attempt, JobState
from service.core.requests import Priority
from service.job_store import keys
from service.job_store.fleet import tell_worker
from service.job_store.gates import Gate, tell_gates
from service.job_store.gather import Gather
from service.job_store.lease import Claim, Kept, Lease, Renewal, bare_lease, read_lease
from service.job_store.listening import end
from service.job_store.outcomes import Aside, Later, Outcome, attempt_json
from service.job_store.records import VERSION, read_traceparent
from service.job_store.reports import aside_json, costs, told
from service.job_store.scripting import Script, script
from service.job_store.tally import Tally
from service.job_store.times import ms

log = structlog.get_logger()

BATCH_SHARE = 0.9
"""Batch jobs hold at most this part of a worker's slots."""
PARK_AFTER = 20
"""Interruptions after which a job that dies alone is parked as poison, though nobody
saw it kill, and no sooner than half an hour from its first claim; long before, workers
run it apart to see that."""
_READ_AGAIN = timedelta(minutes=1)
_READS = 4
"""Attempts within which a newer worker may come by that can read what we cannot."""


class Leases:
    """Claims jobs for one worker and brings back what became of them.

    `renew` and `claim` raise RedisError when Redis is away and are simply called
    again; `commit`, `retry` and `release` wait for it as long as it takes, because
    they carry results that were paid for. Those three may run twice: a repeat of
    the same fence gets the same answer.

    Args:
        version: Of records; those of a later one are left to workers that know them.

    Attributes:
        tally: What is counted on the way, and told with `announce`.
    """

    bell: str = keys.BELL
    cancels: str | None = keys.CANCELS

    def __init__(
        self,
        redis: Redis,
        *,
        worker: str,
        slots: int,
        lease: timedelta = timedelta(seconds=15),
        retention: timedelta = timedelta(days=7),
        queue: str = keys.QUEUE,
        gates: Mapping[str, Gate] | None = None,
        version: int = VERSION,
    ) -> None:
        self._redis, self._version = redis, version
        self.tally = Tally()
        self.serve(gates or {})
        self._worker, self._slots = worker, slots
        self._lease_ms = ms(lease)
        self._retention_ms = ms(retention)
        self._sequence, self._answered = 0, True
        step = partial(script, redis, queue=queue)
        self._claim, self._renew, self._hedge = map(step, ("claim", "renew", "hedge"))
        self._commits = _gathered(step("commit"), self._retention_ms)
        self._returns = _gathered(step("requeue"))
        self._keeps = _gathered(step("keep"))
        self._advances = _gathered(step("progress"), persistent=False)
        self._asides = set[asyncio.Task[None]]()

    def serve(self, gates: Mapping[str, Gate]) -> None:
        """Call these providers, and no others, from the next claim on."""
        self._gates = dict(gates)
        self._served = " ".join(gates)

    async def announce(self, *, draining: bool = False) -> None:
        """Say that this worker lives, and whom it can call.

        One that drains is struck off, but speaks for its providers all the same:
        whoever comes in its place will call them.
        """
        await tell_gates(self._redis, self._gates)
        if draining:
            await self.leave()
            return
        await tell_worker(self._redis, self._worker, slots=self._slots)
        await self.tally.flush(self._redis)

    async def leave(self) -> None:
        """Strike this worker off: it takes no job any more."""
        await self._redis.zrem(keys.WORKERS, self._worker)
        await self.tally.flush(self._redis)

    async def claim(self, most: int, *, held: Mapping[str, Lease]) -> Claim[Lease]:
        """Take up to `most` ready jobs; again after a lost answer takes the same.

        Args:
            most: Free slots of the worker, at least 1.
            held: What it holds already, which bounds suspects and batch jobs.
        """
        if self._answered:
            self._sequence += 1
        self._answered = False
        batch = sum(lease.priority is Priority.BATCH for lease in held.values())
        suspects = [lease.interruptions for lease in held.values()]
        asked = time.monotonic()
        next_due, left, *jobs = await self._asked(
            self._claim,
            [
                self._worker,
                self._sequence,
                most,
                self._lease_ms,
                self._lease_ms // 2,
                self._slots,
                max(1, int(self._slots * BATCH_SHARE)) - batch,
                PARK_AFTER,
                self._retention_ms,
                self._served,
                self._version,
                *(sum(k >= limit for k in suspects) for limit in range(1, 6)),
            ],
        )
        self._answered = True
        return Claim(
            leases=tuple(self._readable(jobs, asked)),
            left=bool(left),
            next_due=None if next_due < 0 else timedelta(milliseconds=next_due),
        )

    def _readable(
        self, jobs: Sequence[Sequence[Any]], taken_at: float
    ) -> Iterator[Lease]:
        """Yield what can be read; the rest is put off, so that it holds up nobody."""
        for job in jobs:
            try:
                yield read_lease(job, taken_at)
            except (KeyError, TypeError, ValueError):
                log.exception("job.unreadable", job_id=job[0].decode())
                task = asyncio.create_task(self._put_off(bare_lease(job, taken_at)))
                self._asides.add(task)
                task.add_done_callback(self._asides.discard)

    async def _put_off(self, lease: Lease) -> None:
        """Leave a job to whoever can read it, and end it when nobody came."""
        verdict = _bug()
        if lease.attempts >= _READS or lease.in_doubt:  # what was bought stays so
            await self.commit(lease, verdict)
        else:
            await self.retry(lease, verdict.attempt, wait=_READ_AGAIN, goes_on=True)

    async def renew(self, held: Sequence[Lease]) -> list[Renewal]:
        """Prolong the leases; one answer each, in order."""
        pairs = [part for lease in held for part in (lease.job_id, lease.fence)]
        args = [self._lease_ms, self._lease_ms // 2, *pairs]
        answers = [Renewal(answer) for answer in await self._asked(self._renew, args)]
        self.tally.lost(answers.count(Renewal.FENCED))
        return answers

    async def _asked(self, step: Script, args: list[Any]) -> Any:
        try:
            return await step(args)
        except (RedisError, OSError):
            self.tally.erred("redis")
            raise

    async def settle(self, lease: Lease, verdict: Outcome | Later) -> bool:
        """Write down what an attempt came to; False when the job is not ours to end."""
        with self.tally.timed("settle"):
            done = await self._written(lease, verdict)
        if done:
            self._count(lease, verdict)
        return done

    def _count(self, lease: Lease, verdict: Outcome | Later) -> None:
        self.tally.attempted(verdict.attempt)
        if verdict.aside is not None:
            self.tally.attempted(verdict.aside.attempt)
        if isinstance(verdict, Outcome):
            self.tally.ended(lease.job_id)

    async def _written(self, lease: Lease, verdict: Outcome | Later) -> bool:
        if isinstance(verdict, Outcome):
            return await self.commit(lease, verdict)
        return await self.retry(
            lease,
            verdict.attempt,
            wait=verdict.wait,
            goes_on=verdict.goes_on,
            report=verdict.report,
            costly=verdict.costly,
            closed=verdict.closed,
            routes=verdict.routes,
            hold=verdict.hold,
            aside=verdict.aside,
        )

    def crashed(self, lease: Lease) -> Outcome:
        """Return the end of a job whose attempt met a bug of ours.

        It may have paid, and would pay again.
        """
        log.error("job.abandoned", job_id=lease.job_id)
        return _bug()

    async def commit(self, lease: Lease, outcome: Outcome) -> bool:
        """Make the outcome final; False when the job is no longer ours to end."""
        error = b"" if outcome.error is None else orjson.dumps(outcome.error)
        if lease.ephemeral:
            outcome = outcome.without_words()
        done = await self._commits(
            (
                lease.job_id,
                lease.fence,
                outcome.state.value,
                outcome.result_json(),
                error,
                attempt_json(outcome.attempt),
                len(outcome.images),
                outcome.asked,
                (outcome.model or "") if outcome.images else "",
                told(lease, outcome.attempt, outcome.report, aside=outcome.aside),
                aside_json(outcome.aside),
                costs(outcome.costs, outcome.aside),
            )
        )
        return bool(done)

    async def keep(self, lease: Lease, kept: Kept) -> bool:
        """Put upstream tasks on record; False when the job is no longer ours."""
        tasks = orjson.dumps({"route": kept.route, "tasks": kept.tasks})
        return bool(await self._keeps((lease.job_id, lease.fence, tasks)))

    async def hedge(self, lease: Lease, routes: Sequence[str]) -> str | None:
        """Return the route of these that a second call may take now; None: no one.

        The call counts until the attempt has ended, however it does. May raise
        RedisError, and then it may count all the same.
        """
        args = [lease.job_id, lease.fence, "\n".join(routes), self._served]
        route: bytes = await self._hedge(args)
        return route.decode() or None

    async def traceparent(self, lease: Lease) -> str | None:
        """Return that of the call that made the job; None: it was in no trace."""
        return await read_traceparent(self._redis, lease.job_id)

    async def advance(self, lease: Lease, progress: float) -> bool:
        """Say how far the attempt has come; False: no further, or not ours any more.

        Nobody's money hangs on it, so that it does not wait for a Redis that is away.

        Args:
            lease: Whose job it is.
            progress: From 0 to 1, to three decimals.

        Raises:
            RedisError: It was not written down, as far as anybody knows.
        """
        line = (lease.job_id, lease.fence, f"{progress:.3f}")
        return bool(await self._advances(line))

    async def retry(
        self,
        lease: Lease,
        attempt: Attempt,
        *,
        wait: timedelta,
        goes_on: bool = False,
        report: str = "",
        costly: bool = False,
        closed: timedelta = timedelta(0),
        routes: Sequence[str] = (),
        hold: bool = False,
        aside: Aside | None = None,
    ) -> bool:
        """Count a failed attempt; the job is due again after `wait`.

        Args:
            lease: Whose job it is.
            attempt: What is added to its trail.
            wait: Until it may be claimed.
            goes_on: Whether its upstream tasks do, so that the next attempt looks
                at them instead of submitting others.
            report: What the attempt says of its route: `fault`, `shut` or nothing.
            costly: Whether the attempt may have been billed.
            closed: For how long its provider takes no calls from anybody.
            routes: Those left, in their new order; empty: as they were.
            hold: Whether it waits until somebody releases it.
            aside: What was tried beside it.
        """
        wait_ms = max(0, ms(wait))
        return bool(
            await self._returns(
                (
                    lease.job_id,
                    lease.fence,
                    wait_ms,
                    attempt_json(attempt),
                    int(goes_on),
                    told(lease, attempt, report, closed=closed, aside=aside),
                    "\n".join(routes),
                    int(costly),
                    int(hold),
                    aside_json(aside),
                    costs((attempt.cost_usd, attempt.cost_source), aside),
                )
            )
        )

    async def release(self, lease: Lease) -> bool:
        """Give the job back as if it had not been claimed."""
        return bool(
            await self._returns(
                (lease.job_id, lease.fence, -1, b"", 1, "", "", 0, 0, b"", "")
            )
        )

    async def aclose(self) -> None:
        """Stop the shared round trips."""
        await end(tuple(self._asides))
        await self._commits.aclose()
        await self._returns.aclose()
        await self._keeps.aclose()
        await self._advances.aclose()


def _gathered(
    step: Script, *first: int, persistent: bool = True
) -> Gather[tuple[Any, ...], int]:
    """Return what sends lines of one step together, behind what they share."""

    async def send(lines: Sequence[tuple[Any, ...]]) -> list[int]:
        flat = [part for line in lines for part in line]
        answers: list[int] = await step([*first, *flat])
        return answers

    return Gather(send, persistent=persistent)


def _bug() -> Outcome:
    return Outcome(
        state=JobState.FAILED,
        attempt=Attempt(
            provider="",
            model="",
            started_at=datetime.now(UTC),
            outcome="failed",
            error_code="internal",
        ),
        error={
            "code": "internal",
            "message": "An internal error; it was logged.",
        },
    )
