"""Latency and cost in answers with images: whose routes tell them, and the switch."""

import pytest

from tests.fakes.door import FrontDoor, front_door
from tests.fakes.valkey import Valkey
from tests.fakes.worker import FakeWorker

OPENAI = "/v1/images/generations"
ASK = {"model": "test/test", "prompt": "a fox"}


async def bill(door: FrontDoor, redis, route: str) -> tuple[dict, dict]:
    """What the answer tells, and what the job does."""
    async with FakeWorker(redis, door.images) as worker:
        worker.verdict = lambda lease: worker.make(lease, 1, cost_usd="0.02")
        answer = await door.post(route, ASK)
    job = (await door.get(answer.headers["Location"])).body
    names = ("latency", "cost")
    return {n: answer.body[n] for n in names if n in answer.body}, job


async def test_openai_routes_tell_nothing_of_billing(door: FrontDoor, redis):
    told, job = await bill(door, redis, OPENAI)

    assert told == {}
    assert job["cost"] == 0.02


async def test_operator_may_let_every_answer_tell(
    shared_valkey: Valkey, redis, tmp_path
):
    async with front_door(shared_valkey.url, tmp_path, billing="always") as door:
        told, _ = await bill(door, redis, OPENAI)

    assert told["cost"] == 0.02
    assert 0 <= told["latency"] < 60_000
    assert type(told["latency"]) is int


@pytest.mark.parametrize("route", [OPENAI, "/v1/openai/images/generations"])
async def test_operator_may_let_nothing_but_the_job_tell(
    shared_valkey: Valkey, redis, tmp_path, route: str
):
    async with front_door(shared_valkey.url, tmp_path, billing="never") as door:
        told, job = await bill(door, redis, route)

    assert told == {}
    assert job["cost"] == 0.02
