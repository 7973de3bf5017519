"""OpenAI's own Python SDK, unmodified, against our front door."""

import asyncio
import base64

import openai
import pytest
from openai import AsyncOpenAI, OpenAI
from redis.asyncio import Redis

from tests.fakes.door import SECRET, FrontDoor, front_door
from tests.fakes.worker import FakeWorker, failing, never


@pytest.fixture
async def client(door: FrontDoor):
    async with AsyncOpenAI(base_url=f"{door.url}/v1", api_key=SECRET) as client:
        yield client


async def test_async_client_gets_urls(client: AsyncOpenAI, worker: FakeWorker):
    made = await client.images.generate(model="test/test", prompt="a fox", n=2)

    assert len(made.data) == 2
    assert made.data[0].url.startswith("http://127.0.0.1")
    assert made.data[0].revised_prompt == "as drawn"
    assert made.created > 1_700_000_000


async def test_sync_client_gets_base64(door: FrontDoor, worker: FakeWorker):
    def call():
        with OpenAI(base_url=f"{door.url}/v1", api_key=SECRET) as client:
            return client.images.generate(
                model="gpt-image-1",
                prompt="a fox",
                size="1024x1024",
                quality="low",
                background="opaque",
                output_format="webp",
                output_compression=80,
                moderation="low",
                user="u1",
            )

    made = await asyncio.to_thread(call)

    assert base64.b64decode(made.data[0].b64_json).startswith(b"\x89PNG")
    assert (made.size, made.quality, made.output_format) == (
        "1024x1024",
        "low",
        "webp",
    )


async def test_client_may_ask_for_the_job_instead(client: AsyncOpenAI):
    job = await client.images.generate(
        model="test/test",
        prompt="a fox",
        extra_headers={"Prefer": "respond-async"},
    )

    read = await client.get(f"/jobs/{job.id}", cast_to=object)

    assert job.data is None
    assert (job.status, read["status"]) == ("queued", "queued")


async def test_refusals_become_the_clients_exceptions(
    client: AsyncOpenAI, door: FrontDoor, worker: FakeWorker
):
    ask = {"model": "test/test", "prompt": "a fox"}
    stranger = client.with_options(api_key="sk_nobody")

    with pytest.raises(openai.AuthenticationError) as unknown_key:
        await stranger.images.generate(**ask)
    with pytest.raises(openai.NotFoundError) as unknown_model:
        await client.images.generate(model="no/such", prompt="a fox")
    worker.verdict = failing("content_policy")
    with pytest.raises(openai.BadRequestError) as rejected:
        await client.images.generate(**ask)

    assert unknown_key.value.code == "invalid_key"
    assert unknown_key.value.request_id.startswith("req_")
    assert (unknown_model.value.code, unknown_model.value.param) == (
        "unknown_model",
        "model",
    )
    assert rejected.value.code == "content_policy"


async def test_client_does_not_buy_again_what_may_have_been_billed(
    client: AsyncOpenAI, worker: FakeWorker
):
    worker.verdict = failing("provider_ambiguous")

    with pytest.raises(openai.InternalServerError):
        await client.images.generate(model="test/test", prompt="a fox")

    assert len(worker.seen) == 1


async def test_clients_own_retries_wait_for_the_one_job(
    shared_valkey, redis: Redis, tmp_path
):
    async with (
        front_door(shared_valkey.url, tmp_path, sync_wait_s=0.5) as door,
        FakeWorker(redis, door.images) as worker,
        AsyncOpenAI(base_url=f"{door.url}/v1", api_key=SECRET) as client,
    ):

        async def slowly(lease):
            await asyncio.sleep(0.9)
            return await worker.succeed(lease)

        worker.verdict = slowly
        made = await client.images.generate(model="test/test", prompt="a fox")

    assert len(made.data) == 1
    assert len(worker.seen) == 1


async def test_models_are_listed_and_retrieved(client: AsyncOpenAI):
    listed = [model.id async for model in client.models.list()]
    one = await client.models.retrieve("test/test")

    assert "test/test" in listed
    assert (one.id, one.object, one.owned_by) == ("test/test", "model", "test")


async def test_clients_impatience_leaves_the_job_alone(
    client: AsyncOpenAI, door: FrontDoor, worker: FakeWorker
):
    worker.verdict = never
    hasty = client.with_options(timeout=0.3, max_retries=0)

    with pytest.raises(openai.APITimeoutError):
        await hasty.images.generate(model="test/test", prompt="a fox")

    [job] = (await door.get("/v1/jobs")).body["data"]
    assert job["status"] == "running"
