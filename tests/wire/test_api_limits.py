"""Keys and what they are held to: scopes, rates, backlogs and quotas."""

import asyncio
import re
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from redis.asyncio import Redis

from service.accounts import Scope
from service.settings import Limits
from tests.fakes.door import FrontDoor, front_door
from tests.fakes.worker import FakeWorker, failing, never

GENERATIONS = "/v1/images/generations"
ASK = {"model": "test/test", "prompt": "a fox"}


async def test_rate_is_told_and_kept(door: FrontDoor):
    _, secret = await door.knows("ada", requests_per_minute=3)

    answers = [await door.post("/v1/jobs", ASK, secret=secret) for _ in range(4)]

    *passed, refused = answers
    assert [a.status for a in passed] == [202] * 3
    assert [a.headers["RateLimit-Remaining"] for a in passed] == ["2", "1", "0"]
    assert (refused.status, refused.code) == (429, "rate_limited")
    assert 1 <= int(refused.headers["Retry-After"]) <= 20
    assert refused.headers["x-ratelimit-limit-requests"] == "3"
    assert (await door.get("/v1/jobs", secret=secret)).status == 200


async def test_each_limit_of_the_key_is_told(door: FrontDoor, worker: FakeWorker):
    _, secret = await door.knows("ada", requests_per_minute=60, quota_units=20_000)
    await door.post(GENERATIONS, ASK, secret=secret)
    worker.verdict = never

    passed = await door.post("/v1/jobs", {**ASK, "n": 2}, secret=secret)
    refused = await door.post("/v1/jobs", {**ASK, "n": 2}, secret=secret)
    looked = await door.post("/v1/jobs", {**ASK, "dry_run": True}, secret=secret)

    policy = r'"requests";q=60;w=60, "quota";q=20000;w=(2678400|2592000|24\d+)'
    assert re.fullmatch(policy, passed.headers["RateLimit-Policy"])
    left = r'"requests";r=5[89];t=[12], "quota";r=5000;t=\d+'
    assert re.fullmatch(left, passed.headers["RateLimit"])
    assert passed.headers["x-ratelimit-limit-tokens"] == "20000"
    assert (refused.status, refused.code) == (429, "quota_exceeded")
    for answer in (passed, refused, looked):
        assert answer.headers["x-ratelimit-remaining-tokens"] == "5000"


async def test_used_up_quota_comes_back_with_the_month(
    door: FrontDoor, worker: FakeWorker
):
    _, secret = await door.knows("ada", quota_units=5_000)
    await door.post(GENERATIONS, ASK, secret=secret)

    refused = await door.post("/v1/jobs", ASK, secret=secret)

    now = datetime.now(UTC)
    after = now + timedelta(seconds=int(refused.headers["Retry-After"]) + 1)
    assert (refused.status, refused.code) == (429, "quota_exceeded")
    assert (after.day, after.hour, after.minute) == (1, 0, 0)
    assert after - now <= timedelta(days=31, seconds=2)


async def test_rate_of_one_key_is_no_matter_to_another(door: FrontDoor):
    _, slow = await door.knows("ada", requests_per_minute=1)
    _, free = await door.knows("ada")

    await door.post("/v1/jobs", ASK, secret=slow)
    refused = await door.post("/v1/jobs", ASK, secret=slow)
    passed = await door.post("/v1/jobs", ASK, secret=free)

    assert (refused.status, passed.status) == (429, 202)
    assert "RateLimit-Limit" not in passed.headers


async def test_unfinished_jobs_of_a_key_have_a_limit(door: FrontDoor):
    _, secret = await door.knows("ada", queued_jobs=2)
    jobs = [await door.post("/v1/jobs", ASK, secret=secret) for _ in range(2)]

    refused = await door.post("/v1/jobs", ASK, secret=secret)
    await door.post(f"/v1/jobs/{jobs[0].body['id']}/cancel", secret=secret)
    passed = await door.post("/v1/jobs", ASK, secret=secret)

    assert (refused.status, refused.code) == (429, "queue_full")
    assert "Retry-After" in refused.headers
    assert passed.status == 202


async def test_full_backlog_is_unavailable_to_all(
    shared_valkey, redis: Redis, tmp_path
):
    limits = Limits(backlog=1)
    async with front_door(shared_valkey.url, tmp_path, limits=limits) as door:
        first = await door.post("/v1/jobs", ASK)
        second = await door.post("/v1/jobs", ASK)

    assert first.status == 202
    assert (second.status, second.code) == (503, "queue_unavailable")
    assert "Retry-After" in second.headers


async def test_quota_is_granted_to_the_unit_however_many_ask_at_once(
    door: FrontDoor, redis: Redis
):
    key, secret = await door.knows("ada", quota_units=100_000)

    answers = await asyncio.gather(
        *(door.post("/v1/jobs", ASK, secret=secret) for _ in range(50))
    )

    statuses = Counter(answer.status for answer in answers)
    refused = [answer for answer in answers if answer.status == 429]
    assert statuses == {202: 20, 429: 30}
    assert {answer.code for answer in refused} == {"quota_exceeded"}
    assert all(int(answer.headers["Retry-After"]) <= 5 for answer in refused)
    assert await redis.hget(f"darkroom:use:{key.id}", "reserved") == b"100000"


async def test_quota_of_what_was_not_delivered_comes_back(
    door: FrontDoor, worker: FakeWorker, redis: Redis
):
    key, secret = await door.knows("ada", quota_units=10_000)
    worker.verdict = failing("provider_auth")
    failed = await door.post(GENERATIONS, {**ASK, "n": 2}, secret=secret)
    lacking = {"code": "partial_result", "message": "1 of 2 images were made"}
    worker.verdict = lambda lease: worker.make(lease, 1, error=lacking)
    half = await door.post(GENERATIONS, {**ASK, "n": 2}, secret=secret)

    refused = await door.post(GENERATIONS, {**ASK, "n": 2}, secret=secret)
    passed = await door.post(GENERATIONS, ASK, secret=secret)

    assert [a.status for a in (failed, half, refused, passed)] == [502, 200, 429, 200]
    use = await redis.hgetall(f"darkroom:use:{key.id}")
    used = sum(int(v) for name, v in use.items() if name.startswith(b"used:"))
    assert (used, int(use[b"reserved"])) == (10_000, 0)


@pytest.mark.parametrize(
    ("asked", "units"),
    [({}, 5_000), ({"n": 3}, 15_000), ({"size": "3840x2160"}, 12_500)],
)
async def test_units_follow_count_and_size(
    door: FrontDoor, redis: Redis, asked: dict, units: int
):
    key, secret = await door.knows("ada")

    await door.post("/v1/jobs", {**ASK, **asked}, secret=secret)

    reserved = await redis.hget(f"darkroom:use:{key.id}", "reserved")
    assert int(reserved) == units


async def test_revoked_and_expired_keys_say_so(door: FrontDoor):
    key, revoked = await door.knows("ada")
    soon = datetime.now(UTC) + timedelta(seconds=0.2)
    _, expiring = await door.knows("ada", expires_at=soon)
    before = await door.get("/v1/jobs", secret=expiring)
    await door.accounts.revoke(key.id)
    await asyncio.sleep(0.25)

    answers = [await door.get("/v1/jobs", secret=s) for s in (revoked, expiring)]

    assert before.status == 200
    assert [(a.status, a.code) for a in answers] == [
        (401, "key_revoked"),
        (401, "key_expired"),
    ]


async def test_key_without_the_scope_is_refused(door: FrontDoor):
    _, secret = await door.knows("ada", scopes=frozenset({Scope.EMBED}))

    answers = [
        await door.post("/v1/jobs", ASK, secret=secret),
        await door.post(GENERATIONS, ASK, secret=secret),
        await door.get("/v1/jobs", secret=secret),
        await door.get("/v1/models", secret=secret),
    ]

    assert {(a.status, a.code) for a in answers} == {(403, "key_scope")}
