"""The worker's side of the deliveries: claim, renew, settle, give back."""

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import orjson
import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from service.job_store import keys
from service.job_store.gather import Gather
from service.job_store.lease import Claim, Renewal
from service.job_store.times import ms, time_of
from service.settings import Webhooks
from service.webhooks.scripting import script

log = structlog.get_logger()

_LOOKS = 30
"""Times that one claim goes on, where most of what is due may not be sent yet."""
_GRACE = timedelta(hours=1)
"""For what attempts take themselves, and for waiting in line."""


Ending = Literal["delivered", "again", "exhausted", "gone", "crashed"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Parcel:
    """A worker's right to one delivery, and all it takes to send it.

    Attributes:
        fence: The number that makes every earlier claim's writes harmless.
        attempts: Made before this one.
        tries: Those of them since somebody asked for it.
        event: Its id.
        secrets: What signs it, the newest first; none: the account's own does.
    """

    id: str
    fence: int
    attempts: int
    tries: int
    event: str
    type: str
    subject: str
    account: str
    created_at: datetime
    url: str
    secrets: tuple[str, ...] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """What one attempt came to.

    Attributes:
        next: `delivered`; `again` after `wait`; `exhausted`: there were enough;
            `gone`: the receiver wants no more; `crashed`: as `again`, and nothing
            is said of the receiver, which was not called.
        at: When it was made.
        status: Of the answer; None: none came.
        took_ms: How long it took.
        error: See `LoggedAttempt`.
        answer: The beginning of what was answered.
    """

    next: Ending
    wait: timedelta = timedelta(0)
    at: datetime
    status: int | None
    took_ms: int
    error: str | None
    answer: bytes = field(default=b"", repr=False)

    def line(self) -> bytes:
        """Return what the log keeps."""
        told = {
            "at_ms": int(self.at.timestamp() * 1000),
            "status": self.status,
            "ms": self.took_ms,
            "error": self.error,
            "answer": self.answer.decode(errors="replace"),
        }
        return orjson.dumps(told)


class DeliveryLeases:
    """Claims deliveries for one worker and brings back what became of them.

    Fits `workers.engine.Work`. `renew` and `claim` raise RedisError when Redis is away
    and are simply called again; `settle` and `release` wait for it. A delivery whose
    worker died is claimed again once its lease has lapsed, so it may arrive twice.
    """

    bell: str = keys.DELIVER_BELL
    cancels: str | None = None

    def __init__(
        self,
        redis: Redis,
        rules: Webhooks,
        *,
        worker: str,
        lease: timedelta,
    ) -> None:
        self._worker, self._lease_ms = worker, ms(lease)
        self._rules = rules
        self._patience_ms = ms(rules.schedule.patience + _GRACE)
        self._claim = script(redis, "claim")
        self._renew = script(redis, "renew")
        self._settle = script(redis, "settle")
        self._settlings: Gather[tuple[Any, ...], int] = Gather(
            self._send, persistent=True
        )

    async def announce(self, *, draining: bool) -> None:
        """Say nothing: who sends deliveries also runs jobs, and says so there."""

    async def leave(self) -> None:
        """Say nothing; see `announce`."""

    async def claim(self, most: int, *, held: Mapping[str, Parcel]) -> Claim[Parcel]:
        """Take up to `most` deliveries that are due, whatever is held already.

        A crowd that has to wait for its receiver is sent aside at once, so that
        whoever is due behind it is not kept waiting.
        """
        _ = held
        claim = await self._look(most)
        for _ in range(_LOOKS):
            if not claim.left or len(claim.leases) >= most:
                break
            try:
                more = await self._look(most - len(claim.leases))
            except (RedisError, OSError):  # what is in hand is not lost for that
                break
            claim = replace(more, leases=claim.leases + more.leases)
        return claim

    async def _look(self, most: int) -> Claim[Parcel]:
        next_due, left, *taken = await self._claim(
            [
                self._worker,
                most,
                self._lease_ms,
                self._rules.max_in_flight,
                self._rules.host_per_minute,
                self._rules.retention_s * 1000,
                self._patience_ms,
                self._rules.slots,
                self._lease_ms // 2,
            ]
        )
        return Claim(
            leases=tuple([p for fields in taken if (p := await self._read(fields))]),
            left=bool(left),
            next_due=None if next_due < 0 else timedelta(milliseconds=next_due),
        )

    async def _read(self, fields: Sequence[Any]) -> Parcel | None:
        """Return what was claimed; None: a record that cannot be read is put off."""
        try:
            return _parcel(fields)
        except Exception:  # whatever somebody wrote there: the others go out
            delivery_id, fence, *_ = fields
            log.exception("delivery.unreadable", delivery_id=repr(delivery_id))
            line = (delivery_id, fence, *_told(_crashed()))
            with contextlib.suppress(RedisError, OSError):  # else its lease lapses
                await self._send([line])
            return None

    async def renew(self, held: Sequence[Parcel]) -> list[Renewal]:
        """Prolong the leases; one answer each, in order."""
        pairs = [part for parcel in held for part in (parcel.id, parcel.fence)]
        answers = await self._renew([self._lease_ms, self._lease_ms // 2, *pairs])
        return [Renewal(answer) for answer in answers]

    def crashed(self, lease: Parcel) -> Settled:
        """Return what is to become of a delivery that met a bug of ours."""
        log.error("delivery.crashed", delivery_id=lease.id)
        return _crashed()

    async def settle(self, lease: Parcel, verdict: Settled) -> bool:
        """Write down what an attempt came to; False when it is no longer ours."""
        line = (lease.id, lease.fence, *_told(verdict))
        return bool(await self._settlings(line))

    async def release(self, lease: Parcel) -> bool:
        """Give the delivery back as if it had not been claimed."""
        return bool(await self._settlings((lease.id, lease.fence, "back", 0, b"")))

    async def aclose(self) -> None:
        """Stop the shared round trips."""
        await self._settlings.aclose()

    async def _send(self, lines: Sequence[tuple[Any, ...]]) -> list[int]:
        rules = self._rules
        answers: list[int] = await self._settle(
            [
                rules.retention_s * 1000,
                rules.max_in_flight,
                int(rules.breaker_s * 1000),
                int(rules.disable_after_s * 1000),
                self._patience_ms,
                rules.slots,
                *(part for line in lines for part in line),
            ]
        )
        return answers


def _crashed() -> Settled:
    return Settled(
        next="crashed",
        wait=timedelta(minutes=5),
        at=datetime.now(UTC),
        status=None,
        took_ms=0,
        error="internal",
    )


def _told(verdict: Settled) -> tuple[Ending, int, bytes]:
    return verdict.next, max(0, ms(verdict.wait)), verdict.line()


def _parcel(fields: Sequence[Any]) -> Parcel:
    delivery_id, fence, attempts, tries, event, kind, subject, account, *more = fields
    created_ms, _, webhook, url, secret, old_secret = more
    own = orjson.loads(webhook).get("secret") if webhook else None
    given = [own] if own else [one.decode() for one in (secret, old_secret) if one]
    return Parcel(
        id=delivery_id.decode(),
        fence=fence,
        attempts=attempts,
        tries=tries,
        event=event.decode(),
        type=kind.decode(),
        subject=subject.decode(),
        account=account.decode(),
        created_at=time_of(created_ms),
        url=url.decode(),
        secrets=tuple(given),
    )
