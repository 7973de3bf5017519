"""The same call again: idempotency keys, and retries of SDKs that send none."""

import asyncio
from collections import Counter

from redis.asyncio import Redis

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


async def test_how_long_the_caller_waits_makes_no_other_content(
    door: FrontDoor, worker: FakeWorker
):
    answers = [
        await door.post(GENERATIONS, ASK, Idempotency_Key="once", **prefer)
        for prefer in ({"Prefer": "respond-async"}, {}, {"Prefer": "wait=5"})
    ]

    assert [answer.status for answer in answers] == [202, 200, 200]
    assert len({answer.headers["x-job-id"] for answer in answers}) == 1
    assert answers[1].headers["Idempotent-Replayed"] == "true"


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
