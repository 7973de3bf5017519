"""What was used, as the ledger and the balance are read; on a Redis in this process.

Who writes them, and that they agree, is `tests/wire/test_job_store_model.py`'s.
"""

from datetime import UTC, date, datetime, timedelta

import pytest

from service.accounts import Accounts, Balance, DayUsage, Grant
from service.settings import Limits

TODAY = datetime.now(UTC).date()
YESTERDAY = TODAY - timedelta(days=1)
EVER = (date.min, date.max)


@pytest.fixture
def accounts(redis):
    return Accounts(redis, Limits())


def ledger(day: date, account: str = "ada") -> str:
    return f"darkroom:usage:{account}:{day}"


async def test_rows_come_by_day_and_key(accounts: Accounts, redis):
    await redis.hset(ledger(TODAY), mapping={"key_b:jobs": 1, "key_a:jobs": 2})
    await redis.hset(ledger(YESTERDAY), mapping={"key_b:jobs": 3})
    await redis.hset(ledger(TODAY, "bob"), mapping={"key_c:jobs": 4})

    rows = await accounts.usage("ada", *EVER)

    told = [(row.day, row.key_id, row.jobs) for row in rows]
    assert told == [(YESTERDAY, "key_b", 3), (TODAY, "key_a", 2), (TODAY, "key_b", 1)]


async def test_a_row_tells_costs_by_their_source(accounts: Accounts, redis):
    counted = {"images": 3, "units": 15_000, "cost_micros:priced": 126_000}
    counted["cost_micros:reported"] = 40
    fields = {f"key_a:{name}": value for name, value in counted.items()}
    await redis.hset(ledger(TODAY), mapping=fields)

    [row] = await accounts.usage("ada", TODAY, TODAY)

    assert row == DayUsage(
        day=TODAY,
        key_id="key_a",
        images=3,
        units=15_000,
        cost_micros={"priced": 126_000, "reported": 40},
    )


async def test_days_outside_are_left_out(accounts: Accounts, redis):
    for day in (YESTERDAY, TODAY):
        await redis.hset(ledger(day), mapping={"key_a:jobs": 1})

    rows = await accounts.usage("ada", YESTERDAY, YESTERDAY)

    assert [row.day for row in rows] == [YESTERDAY]
    assert await accounts.usage("ada", TODAY, YESTERDAY) == []


async def test_a_balance_is_of_this_month(accounts: Accounts, redis):
    key, _ = await accounts.create(Grant(account="ada", quota_units=100))
    used = {f"used:{TODAY:%Y-%m}": 30, "used:2020-01": 7, "reserved": 20}
    await redis.hset(f"darkroom:use:{key.id}", mapping=used)

    balance = await accounts.balance(key)

    period = f"{TODAY:%Y-%m}"
    assert balance == Balance(limit=100, reserved=20, used=30, period=period)
    assert balance.left == 50


async def test_a_key_without_a_quota_has_no_end(accounts: Accounts):
    key, _ = await accounts.create(Grant(account="ada"))

    balance = await accounts.balance(key)

    assert (balance.limit, balance.used, balance.left) == (None, 0, None)
