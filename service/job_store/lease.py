"""What a worker holds of a queue, and what it hears of it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from enum import IntEnum
from typing import Any, Generic, TypeVar

import orjson

from service.core.jobs import JobId
from service.core.requests import GenerationRequest, Priority
from service.core.retries import OnAmbiguous
from service.job_store.records import read_request

Held = TypeVar("Held")


class Renewal(IntEnum):
    """What became of a lease."""

    FENCED = 0
    RENEWED = 1
    CANCELED = 2
    FINAL = 3


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
    kept: Kept | None = None
    route: str | None = None
    routes: tuple[str, ...] = ()
    on_ambiguous: OnAmbiguous = OnAmbiguous.RETRY
    in_doubt: bool = False
    taken_at: float

    @property
    def id(self) -> JobId:
        """The job's, as the engine calls it of whatever it runs."""
        return self.job_id

    @property
    def request(self) -> GenerationRequest:
        """The request, decoded anew on every call."""
        return read_request(self.payload)


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim(Generic[Held]):
    """The answer to one claim.

    Attributes:
        next_due: When the next retry or lapsed lease is due; None: nothing waits.
        left: Whether ready work stayed behind, for want of slots or by its class.
    """

    leases: tuple[Held, ...]
    left: bool
    next_due: timedelta | None


def read_lease(claimed: Sequence[Any], taken_at: float) -> Lease:
    """Read one job of what `claim.lua` answers.

    Args:
        claimed: As it stands there.
        taken_at: Monotonic seconds of the question.
    """
    job_id, fence, payload, attempts, interruptions, priority, account, *more = claimed
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


def bare_lease(claimed: Sequence[Any], taken_at: float) -> Lease:
    """Return what it takes to give back a job that cannot be read."""
    return Lease(
        job_id=JobId(claimed[0].decode()),
        fence=claimed[1],
        payload=b"",
        attempts=claimed[3],
        interruptions=claimed[4],
        priority=Priority.NORMAL,
        account="",
        ephemeral=bool(claimed[7]),
        in_doubt=bool(claimed[-1]),
        taken_at=taken_at,
    )


def _kept(stored: bytes) -> Kept | None:
    if not stored:
        return None
    fields = orjson.loads(stored)
    return Kept(fields["route"], tuple(fields["tasks"]))
