"""The worker's side of the records: claim, renew, commit, give back."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from enum import IntEnum
from typing import Any

import orjson
from redis.asyncio import Redis

from service.core.jobs import Attempt, JobId
from service.core.requests import GenerationRequest, Priority
from service.core.retries import OnAmbiguous
from service.job_store import keys
from service.job_store.gather import Gather
from service.job_store.records import Outcome, attempt_json, read_request
from service.job_store.scripting import script

BATCH_SHARE = 0.9
"""Batch jobs hold at most this part of a worker's slots."""
PARK_AFTER = 5
"""Interruptions after which a job that dies alone is parked as poison."""


class Renewal(IntEnum):
    """What became of a lease."""

    FENCED = 0
    RENEWED = 1
    CANCELED = 2
    FINAL = 3


@dataclass(frozen=True, slots=True)
class Gate:
    """How much of a provider the whole fleet may use; None: no limit.

    Attributes:
        max_in_flight: Calls at once.
        requests_per_minute: Spread over it, but for a second's worth at once.
    """

    max_in_flight: int | None = None
    requests_per_minute: int | None = None


@dataclass(frozen=True, slots=True)
class Kept:
    """Upstream tasks of a job, on record before anybody looks at them.

    Attributes:
        route: `provider/provider model` they were submitted on.
        tasks: Their handles.
    """

    route: str
    tasks: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """A worker's right to one job.

    Attributes:
        fence: The number that makes every earlier claim's writes harmless.
        attempts: Attempts made before this one.
        interruptions: How often a worker died over the job.
        payload: The request as stored; decoded by `request`.
        ephemeral: Whether no words of it may enter the record.
        costly: Attempts among them that may have been billed.
        kept: Upstream tasks that an earlier claim submitted; None: there are none.
        route: `provider/provider model` of this attempt; None: any.
        routes: Those the job has left, best first; empty: all its model has.
        on_ambiguous: What its key wants done where nobody knows whether it was bought.
        in_doubt: Whether that is so of the claim before; never where it is `retry`.
        taken_at: Monotonic seconds of the claim.
    """

    job_id: JobId
    fence: int
    payload: bytes = field(repr=False)
    attempts: int
    interruptions: int
    priority: Priority
    account: str
    ephemeral: bool = False
    costly: int = 0
    kept: "Kept | None" = None
    route: str | None = None
    routes: tuple[str, ...] = ()
    on_ambiguous: OnAmbiguous = OnAmbiguous.RETRY
    in_doubt: bool = False
    taken_at: float

    @property
    def request(self) -> GenerationRequest:
        """The request, decoded anew on every call."""
        return read_request(self.payload)


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """The answer to one claim.

    Attributes:
        next_due: When the next retry or lapsed lease is due; None: nothing waits.
        left: Whether ready work stayed behind, for want of slots or by its class.
    """

    leases: tuple[Lease, ...]
    left: bool
    next_due: timedelta | None


class Leases:
    """Claims jobs for one worker and brings back what became of them.

    `renew` and `claim` raise RedisError when Redis is away and are simply called
    again; `commit`, `retry` and `release` wait for it as long as it takes, because
    they carry results that were paid for. Those three may run twice: a repeat of
    the same fence gets the same answer.
    """

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
    ) -> None:
        self._redis, self._gates = redis, dict(gates or {})
        self._served = " ".join(self._gates)
        self._worker, self._slots = worker, slots
        self._lease_ms = lease // timedelta(milliseconds=1)
        self._retention_ms = retention // timedelta(milliseconds=1)
        self._sequence, self._answered = 0, True
        self._claim = script(redis, "claim", queue=queue)
        self._renew = script(redis, "renew", queue=queue)
        self._commit = script(redis, "commit", queue=queue)
        self._requeue = script(redis, "requeue", queue=queue)
        self._keep = script(redis, "keep", queue=queue)
        self._commits: Gather[tuple[Any, ...], int] = Gather(
            self._send_commits, persistent=True
        )
        self._returns: Gather[tuple[Any, ...], int] = Gather(
            self._send_returns, persistent=True
        )

        self._keeps: Gather[tuple[Any, ...], int] = Gather(
            self._send_keeps, persistent=True
        )

    async def tell_gates(self) -> None:
        """Say whom this worker can call, and how much of it each allows the fleet."""
        if not self._gates:
            return
        seconds, _ = await self._redis.time()
        async with self._redis.pipeline(transaction=False) as pipe:
            for name, gate in self._gates.items():
                limits = {
                    "most": gate.max_in_flight,
                    "per_minute": gate.requests_per_minute,
                }
                told = {field: value for field, value in limits.items() if value}
                absent = [field for field, value in limits.items() if not value]
                key = keys.gate(name)
                pipe.hset(key, mapping={**told, "seen_ms": int(seconds) * 1000})
                if absent:
                    pipe.hdel(key, *absent)
            await pipe.execute()

    async def claim(self, most: int, *, held: Mapping[JobId, Lease]) -> Claim:
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
        next_due, left, *jobs = await self._claim(
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
                *(sum(k >= limit for k in suspects) for limit in range(1, 6)),
            ]
        )
        self._answered = True
        return Claim(
            leases=tuple(_lease(job, asked) for job in jobs),
            left=bool(left),
            next_due=None if next_due < 0 else timedelta(milliseconds=next_due),
        )

    async def renew(self, held: Sequence[Lease]) -> list[Renewal]:
        """Prolong the leases; one answer each, in order."""
        pairs = [part for lease in held for part in (lease.job_id, lease.fence)]
        answers = await self._renew([self._lease_ms, self._lease_ms // 2, *pairs])
        return [Renewal(answer) for answer in answers]

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
                outcome.counted(),
                outcome.report,
            )
        )
        return bool(done)

    async def keep(self, lease: Lease, kept: Kept) -> bool:
        """Put upstream tasks on record; False when the job is no longer ours."""
        told = orjson.dumps({"route": kept.route, "tasks": kept.tasks})
        return bool(await self._keeps((lease.job_id, lease.fence, told)))

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
        """
        wait_ms = max(0, wait // timedelta(milliseconds=1))
        return bool(
            await self._returns(
                (
                    lease.job_id,
                    lease.fence,
                    wait_ms,
                    attempt_json(attempt),
                    int(goes_on),
                    report,
                    max(0, closed // timedelta(milliseconds=1)),
                    "\n".join(routes),
                    int(costly),
                    int(hold),
                )
            )
        )

    async def release(self, lease: Lease) -> bool:
        """Give the job back as if it had not been claimed."""
        return bool(
            await self._returns(
                (lease.job_id, lease.fence, -1, b"", 1, "", 0, "", 0, 0)
            )
        )

    async def aclose(self) -> None:
        """Stop the shared round trips."""
        await self._commits.aclose()
        await self._returns.aclose()
        await self._keeps.aclose()

    async def _send_commits(self, lines: Sequence[tuple[Any, ...]]) -> list[int]:
        flat = [part for line in lines for part in line]
        answers: list[int] = await self._commit([self._retention_ms, *flat])
        return answers

    async def _send_keeps(self, lines: Sequence[tuple[Any, ...]]) -> list[int]:
        answers: list[int] = await self._keep([p for line in lines for p in line])
        return answers

    async def _send_returns(self, lines: Sequence[tuple[Any, ...]]) -> list[int]:
        answers: list[int] = await self._requeue([p for line in lines for p in line])
        return answers


def _lease(job: Sequence[Any], taken_at: float) -> Lease:
    job_id, fence, payload, attempts, interruptions, priority, account, *more = job
    ephemeral, tasks, route, routes, costly, policy, in_doubt = more
    return Lease(
        job_id=JobId(job_id.decode()),
        fence=fence,
        payload=payload,
        attempts=attempts,
        interruptions=interruptions,
        priority=Priority(priority.decode()),
        account=account.decode(),
        ephemeral=bool(ephemeral),
        costly=costly,
        kept=_kept(tasks),
        route=route.decode() or None,
        routes=tuple(routes.decode().splitlines()),
        on_ambiguous=OnAmbiguous(policy.decode() or OnAmbiguous.RETRY),
        in_doubt=bool(in_doubt),
        taken_at=taken_at,
    )


def _kept(stored: bytes) -> Kept | None:
    if not stored:
        return None
    fields = orjson.loads(stored)
    return Kept(fields["route"], tuple(fields["tasks"]))
