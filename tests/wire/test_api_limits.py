"""Repeated calls, rates, backlogs and quotas."""

import asyncio
from collections import Counter

import pytest
from redis.asyncio import Redis

from service.settings import Limits
from tests.fakes.door import FrontDoor, front_door
from tests.fakes.worker import FakeWorker, failing, never

GENERATIONS = "/v1/images/generations"
ASK = {"model": "test/test", "prompt": "a fox"}


async def count_jobs(redis: Redis) -> int:
    return len([key async for key in redis.scan_iter("darkroom:job:*")])


async def test_200_equal_submissions_at_once_make_one_job(
    door: FrontDoor, redis: Redis
):
    answers = await asyncio.gather(
        *(door.post("/v1/jobs", ASK, Idempotency_Key="once") for _ in range(200))
    )

    assert {answer.status for answer in answers} == {202}
    assert len({answer.body["id"] for answer in answers}) == 1
    replays = [a.headers.get("Idempotent-Replayed") for a in answers]
    assert Counter(replays) == {None: 1, "true": 199}
    assert await count_jobs(redis) == 1


async def test_replay_shows_the_job_as_it_stands(door: FrontDoor, worker: FakeWorker):
    first = await door.post("/v1/jobs", ASK, Idempotency_Key="once")
    done = await door.get(f"/v1/jobs/{first.body['id']}?wait=10")

    replay = await door.post("/v1/jobs", ASK, Idempotency_Key="once")

    assert replay.body["status"] == "succeeded"
    assert replay.body["attempts"] == done.body["attempts"]


async def test_same_key_with_other_content_is_a_mismatch(door: FrontDoor):
    await door.post("/v1/jobs", ASK, Idempotency_Key="once")

    answers = [
        await door.post("/v1/jobs", {**ASK, **change}, Idempotency_Key="once")
        for change in (
            {"prompt": "a hare"},
            {"n": 2},
            {"metadata": {"a": "b"}},
            {"priority": "batch"},
            {"deadline_s": 60},
        )
    ]

    assert {(a.status, a.code) for a in answers} == {(422, "idempotency_mismatch")}


async def test_same_content_in_other_words_is_the_same(door: FrontDoor):
    first = await door.post("/v1/jobs", ASK, Idempotency_Key="once")

    again = await door.post(
        "/v1/jobs",
        {"prompt": "a fox", "n": 1, "size": "auto", "model": "test/test"},
        Idempotency_Key="once",
    )

    assert again.body["id"] == first.body["id"]


async def test_another_account_may_use_the_same_key(door: FrontDoor):
    _, secret = await door.knows("ada")

    first = await door.post("/v1/jobs", ASK, Idempotency_Key="once")
    other = await door.post("/v1/jobs", ASK, Idempotency_Key="once", secret=secret)

    assert first.body["id"] != other.body["id"]
    assert "Idempotent-Replayed" not in other.headers


async def test_sdk_that_retries_joins_the_job_of_its_first_try(
    shared_valkey, redis: Redis, tmp_path
):
    async with front_door(shared_valkey.url, tmp_path, sync_wait_s=0.2) as door:
        first = await door.post(GENERATIONS, ASK, x_stainless_retry_count="0")
        second = await door.post(GENERATIONS, ASK, x_stainless_retry_count="1")
        async with FakeWorker(redis, door.images):
            third = await door.post(GENERATIONS, ASK, x_stainless_retry_count="2")

    assert [a.status for a in (first, second, third)] == [504, 504, 200]
    assert len({a.headers["x-job-id"] for a in (first, second, third)}) == 1
    assert await count_jobs(redis) == 1


async def test_two_equal_calls_and_their_retries_stay_two_jobs(
    shared_valkey, redis: Redis, tmp_path
):
    async with front_door(shared_valkey.url, tmp_path, sync_wait_s=0.2) as door:
        firsts = [
            await door.post(GENERATIONS, ASK, x_stainless_retry_count="0")
            for _ in range(2)
        ]
        retries = [
            await door.post(GENERATIONS, ASK, x_stainless_retry_count="1")
            for _ in range(2)
        ]

    joined = [answer.headers["x-job-id"] for answer in retries]
    assert joined == [answer.headers["x-job-id"] for answer in firsts]
    assert await count_jobs(redis) == 2


async def test_answered_call_is_not_joined_by_a_later_retry(
    door: FrontDoor, worker: FakeWorker
):
    first = await door.post(GENERATIONS, ASK, x_stainless_retry_count="0")

    retry = await door.post(GENERATIONS, ASK, x_stainless_retry_count="1")

    assert first.status == retry.status == 200
    assert first.headers["x-job-id"] != retry.headers["x-job-id"]


async def test_failed_job_is_not_joined_by_a_retry(
    shared_valkey, redis: Redis, tmp_path
):
    async with (
        front_door(shared_valkey.url, tmp_path, sync_wait_s=0.2) as door,
        FakeWorker(redis, door.images) as worker,
    ):
        worker.verdict = never
        first = await door.post(GENERATIONS, ASK, x_stainless_retry_count="0")
        await door.post(f"/v1/jobs/{first.headers['x-job-id']}/cancel")
        worker.verdict = failing("provider_unavailable")

        retry = await door.post(GENERATIONS, ASK, x_stainless_retry_count="1")

    assert (first.status, retry.status) == (504, 503)
    assert first.headers["x-job-id"] != retry.headers["x-job-id"]


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
    worker.verdict = lambda lease: worker.make(lease, 1, error={"code": "x"})
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
    from datetime import UTC, datetime, timedelta

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
    from service.accounts import Scope

    _, secret = await door.knows("ada", scopes=frozenset({Scope.EMBED}))

    answers = [
        await door.post("/v1/jobs", ASK, secret=secret),
        await door.post(GENERATIONS, ASK, secret=secret),
        await door.get("/v1/jobs", secret=secret),
        await door.get("/v1/models", secret=secret),
    ]

    assert {(a.status, a.code) for a in answers} == {(403, "key_scope")}
