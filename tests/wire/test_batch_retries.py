"""Batches of what another left undone."""

import asyncio

import pytest

from service.accounts import Grant
from service.batches import BatchKind, BatchState
from service.job_store import keys
from service.settings import Limits
from tests.fakes.batching import batch_stand, foxes, in_file
from tests.fakes.door import FrontDoor, front_door
from tests.fakes.worker import FakeWorker, failing
from tests.wire.test_api_batches import LINES, create, created, read, results


@pytest.fixture
async def stand(shared_valkey, redis, tmp_path):
    """Keeps what the account of a front door has, which opens later."""
    grant, limits = Grant(account="default"), Limits(batch_window=10)
    async with batch_stand(
        shared_valkey.url, tmp_path, grant=grant, limits=limits
    ) as opened:
        yield opened


async def test_the_lines_are_looked_for_behind_the_answer_by_whoever_takes_it(
    stand, redis
):
    async with FakeWorker(redis, stand.backends.images) as worker:
        worker.verdict = failing("content_policy")
        async with stand.feeder():
            lines = [*foxes(25), b"not a line"]
            batch = await stand.ended(await stand.take(lines))
        retry = await stand.begin(kind=BatchKind.RETRY, retry_of=batch.id)
        await stand.batches.feeds.take("a front door that dies")
        await redis.zadd(keys.FEED, {retry.id: 1})
        worker.verdict = worker.succeed

        async with stand.feeder():
            made = await stand.ended(retry)
            whole = await stand.begin(kind=BatchKind.RETRY, retry_of=made.id)
            whole = await stand.ended(whole)

    stored = await stand.batches.lines(made, range(25))
    assert retry.state is BatchState.VALIDATING
    assert (made.total, made.completed, made.bad) == (25, 25, 0)
    assert [stored[n].custom_id for n in range(25)] == [f"c{n}" for n in range(25)]
    assert whole.state is BatchState.FAILED
    assert [error.code for error in whole.errors] == ["nothing_failed"]


async def test_a_file_that_was_not_read_before_its_batch_was_canceled_is_read_anew(
    stand, shared_valkey, tmp_path, redis
):
    endpoint = "/v1/images/generations"
    file_id = await stand.upload(in_file(foxes(2)))
    batch = await stand.begin(
        kind=BatchKind.OPENAI, input_file_id=file_id, endpoint=endpoint
    )
    await stand.batches.cancel(batch.id, account="default")
    again = await stand.begin(kind=BatchKind.RETRY, retry_of=batch.id)
    await stand.batches.cancel(again.id, account="default")

    async with (
        front_door(shared_valkey.url, tmp_path) as door,
        FakeWorker(redis, door.images),
    ):
        retry = await door.post(f"/v1/batches/{batch.id}/retry-failed")
        third = await door.post(f"/v1/batches/{again.id}/retry-failed")
        found = await results(door, retry.body)

    assert retry.body["retry_of"] == third.body["retry_of"] == batch.id
    assert {result["response"]["status_code"] for result in found} == {200}
    assert {result["custom_id"] for result in found} == {"c0", "c1"}


async def test_of_lines_that_never_all_came_nothing_can_be_repeated(door: FrontDoor):
    cut, listed = asyncio.Event(), []

    async def lines():
        yield b'{"prompt": "a fox"}\n'
        await cut.wait()

    upload = asyncio.create_task(door.post("/v1/batches", data=lines(), **LINES))
    async with asyncio.timeout(5):
        while not listed:
            listed = (await door.get("/v1/batches")).body["data"]
    path = f"/v1/batches/{listed[0]['id']}"
    await door.post(f"{path}/cancel")
    cut.set()
    answer = await upload
    refused = await door.post(f"{path}/retry-failed")

    assert (answer.status, answer.code) == (409, "batch_over")
    assert (refused.status, refused.code) == (409, "nothing_failed")
    assert "send them again" in refused.body["error"]["message"]


async def test_a_line_whose_job_was_deleted_is_not_repeated(
    door: FrontDoor, worker: FakeWorker
):
    worker.verdict = failing("content_policy")
    batch = await created(door, {"prompt": "a fox"})
    [fox] = await results(door, batch)
    await door.call("DELETE", f"/v1/jobs/{fox['job']['id']}")

    refused = await door.post(f"/v1/batches/{batch['id']}/retry-failed")

    assert (await read(door, batch))["request_counts"]["failed"] == 1
    assert (refused.status, refused.code) == (409, "nothing_failed")


async def test_one_of_several_uploads_of_a_name_is_taken_and_the_others_try_again(
    door: FrontDoor, worker: FakeWorker
):
    rows = [{"prompt": f"fox {n}"} for n in range(200)]

    async def sent():
        while True:
            answer = await create(door, *rows, Idempotency_Key="foxes")
            refused.append(answer)
            if answer.status == 202:
                return answer.body["id"]
            await asyncio.sleep(0.01)

    refused = []
    ids = await asyncio.gather(*(sent() for _ in range(4)))

    turned_away = [answer for answer in refused if answer.status != 202]
    assert len(set(ids)) == 1
    assert turned_away
    for answer in turned_away:
        assert (answer.status, answer.code) == (409, "batch_over")
        assert answer.headers["x-should-retry"] == "true"
        assert int(answer.headers["Retry-After"]) >= 1
