"""What an account sees of what it used."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from redis.asyncio import Redis

from service.accounts import ApiKey, Scope
from tests.fakes.door import FrontDoor
from tests.fakes.worker import FakeWorker, failing

GENERATIONS = "/v1/images/generations"
ASK = {"model": "test/test", "prompt": "a fox"}
NOTHING = {"usd": 0.0, "reported": 0.0, "priced": 0.0, "estimated": 0.0}


async def enter(redis: Redis, key: ApiKey, day: str, **fields: int) -> None:
    """Write into the ledger; two underscores stand for a colon."""
    named = {
        f"{key.id}:{name.replace('__', ':')}": value for name, value in fields.items()
    }
    await redis.hset(f"darkroom:usage:{key.account}:{day}", mapping=named)


async def test_usage_is_what_was_made_charged_and_paid(
    door: FrontDoor, worker: FakeWorker
):
    key, secret = await door.knows("ada")
    worker.verdict = lambda lease: worker.make(
        lease, lease.request.n, cost_usd="0.084", cost_source="reported"
    )
    await door.post(GENERATIONS, {**ASK, "n": 2}, secret=secret)
    worker.verdict = failing("content_policy")
    await door.post(GENERATIONS, ASK, secret=secret)

    answer = await door.get("/v1/usage", secret=secret)

    today = datetime.now(UTC).date()
    told = answer.body
    row = {
        "date": today.isoformat(),
        "key_id": key.id,
        "jobs": 2,
        "succeeded": 1,
        "failed": 1,
        "canceled": 0,
        "expired": 0,
        "images": 2,
        "quota_units": 10_000,
        "cost": {**NOTHING, "usd": 0.084, "reported": 0.084},
    }
    assert (answer.status, answer.headers["Cache-Control"]) == (200, "no-store")
    assert (told["account"], told["group_by"]) == ("ada", None)
    assert told["from"] == today.replace(day=1).isoformat()
    assert told["to"] == today.isoformat()
    assert told["data"] == [row]
    assert told["total"] == {**row, "date": None, "key_id": None}


async def test_days_and_keys_are_summed_up_as_asked(door: FrontDoor, redis: Redis):
    one, secret = await door.knows("ada")
    two, _ = await door.knows("ada")
    now = datetime.now(UTC).date()
    today, yesterday = now.isoformat(), (now - timedelta(days=1)).isoformat()
    await enter(redis, one, today, jobs=3, images=4, cost_micros__priced=40_000)
    await enter(redis, two, today, jobs=1, cost_micros__estimated=2)
    await enter(redis, one, yesterday, jobs=5, units=5_000)
    path = f"/v1/usage?from={yesterday}&to={today}"

    rows, days, per_key = [
        (await door.get(path + query, secret=secret)).body["data"]
        for query in ("", "&group_by=day", "&group_by=key")
    ]

    assert [(r["date"], r["jobs"]) for r in days] == [(yesterday, 5), (today, 4)]
    assert days[1]["cost"] == {
        **NOTHING,
        "usd": 0.040002,
        "priced": 0.04,
        "estimated": 2e-06,
    }
    assert {r["key_id"]: r["jobs"] for r in per_key} == {one.id: 8, two.id: 1}
    assert [r["date"] for r in per_key] == [None, None]
    assert len(rows) == 3


async def test_account_sees_its_own_books_only(door: FrontDoor, worker: FakeWorker):
    _, ada = await door.knows("ada")
    _, public = await door.knows("ada", scopes=frozenset({Scope.EMBED}))
    _, accountant = await door.knows("ops", scopes=frozenset({Scope.ADMIN}))
    await asyncio.gather(*(door.post(GENERATIONS, ASK, secret=s) for s in (ada, None)))

    answers = [
        await door.get(f"/v1/usage?account={account}", secret=secret)
        for account, secret in [
            ("ada", ada),
            ("ops", ada),
            ("ada", public),
            ("ada", accountant),
            ("nobody", accountant),
        ]
    ]

    assert [a.status for a in answers] == [200, 403, 403, 200, 200]
    assert {a.code for a in answers[1:3]} == {"key_scope"}
    assert [answers[i].body["total"]["jobs"] for i in (0, 3, 4)] == [1, 1, 0]


@pytest.mark.parametrize(
    ("query", "code", "param"),
    [
        ("from=2026-02-30", "out_of_range", "from"),
        ("from=20260201", "out_of_range", "from"),
        ("to=", "out_of_range", "to"),
        ("from=2026-02-02&to=2026-02-01", "out_of_range", "to"),
        ("group_by=model", "invalid_enum", "group_by"),
        ("month=2", "unknown_param", "month"),
    ],
)
async def test_days_that_are_none_are_refused(
    door: FrontDoor, query: str, code: str, param: str
):
    refused = await door.get(f"/v1/usage?{query}")

    assert (refused.status, refused.code) == (400, code)
    assert refused.body["error"]["param"] == param


@pytest.mark.parametrize(
    "query", ["from=0001-01-01&to=9999-12-31", "from=2999-01-01", "to=2999-01-01"]
)
async def test_days_without_books_are_empty(door: FrontDoor, query: str):
    answer = await door.get(f"/v1/usage?{query}")

    assert (answer.status, answer.body["data"]) == (200, [])
