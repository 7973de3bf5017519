"""What was used: the ledger by key and day, and what a key has left this month.

The scripts of `service.job_store` write both in the step that submits or ends a job.
A job counts on the day of its submission (UTC, Redis's clock), whenever it ends: in
each row the jobs add up, and the units of a month's rows are what the quota was
charged for it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

from redis.asyncio import Redis

from service.accounts.apikey import ApiKey
from service.core.periods import period_of

KEPT = timedelta(days=400)
"""So long after its last submission a day can be asked for."""
_COST = "cost_micros:"


@dataclass(frozen=True, slots=True, kw_only=True)
class DayUsage:
    """What one key used on one day; what is left of `jobs` has not ended yet.

    Attributes:
        day: UTC.
        jobs: How many were submitted; joined and cached ones are not.
        images: How many were delivered.
        units: Quota units charged for them.
        cost_micros: Millionths of a US dollar by source, as in `Job.cost_source`.
    """

    day: date
    key_id: str
    jobs: int = 0
    succeeded: int = 0
    failed: int = 0
    canceled: int = 0
    expired: int = 0
    images: int = 0
    units: int = 0
    cost_micros: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    """Quota units of one key.

    Attributes:
        limit: Most in the period; None: no limit.
        reserved: For unfinished jobs, of whatever period.
        used: Charged for delivered images of jobs submitted in the period.
        period: `YYYY-MM`, UTC.
    """

    limit: int | None
    reserved: int
    used: int
    period: str

    @property
    def left(self) -> int | None:
        """What a new job may ask for; None: no limit."""
        if self.limit is None:
            return None
        return max(0, self.limit - self.reserved - self.used)


async def read_usage(
    redis: Redis, account: str, first_day: date, last_day: date
) -> list[DayUsage]:
    """Return the days' rows, both days included, by day and key; idle ones are not."""
    today = datetime.now(UTC).date()
    first = max(first_day, today - KEPT)
    last = min(last_day, today + timedelta(days=1))  # Redis's clock may be ahead
    days = [first + timedelta(days=i) for i in range((last - first).days + 1)]
    async with redis.pipeline(transaction=False) as pipe:
        for day in days:
            pipe.hgetall(f"darkroom:usage:{account}:{day.isoformat()}")
        ledgers = await pipe.execute()
    return [
        row
        for day, stored in zip(days, ledgers, strict=True)
        for row in _rows(day, stored)
    ]


async def read_balance(redis: Redis, key: ApiKey) -> Balance:
    """Return what the key has reserved and used this month."""
    names = ["reserved", f"used:{period_of(datetime.now(UTC))}"]
    reserved, used = await redis.hmget(f"darkroom:use:{key.id}", names)  # type: ignore[misc]
    return balance_of(key, reserved=int(reserved or 0), used=int(used or 0))


def balance_of(key: ApiKey, *, reserved: int, used: int) -> Balance:
    """Return the balance of this month, whose figures somebody has read."""
    period = period_of(datetime.now(UTC))
    return Balance(limit=key.quota_units, reserved=reserved, used=used, period=period)


def _rows(day: date, stored: Mapping[bytes, bytes]) -> list[DayUsage]:
    counts: dict[str, dict[str, int]] = {}
    costs: dict[str, dict[str, int]] = {}
    for name, value in stored.items():
        key_id, _, counted = name.decode().partition(":")
        row = counts.setdefault(key_id, {})
        if counted.startswith(_COST):
            source = counted.removeprefix(_COST)
            costs.setdefault(key_id, {})[source] = int(value)
        else:
            row[counted] = int(value)
    return [
        DayUsage(day=day, key_id=key_id, cost_micros=costs.get(key_id, {}), **row)
        for key_id, row in sorted(counts.items())
    ]
