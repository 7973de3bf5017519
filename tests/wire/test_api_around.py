"""ImageRouter's small routes: credits, the test of a key, the popular models."""

import pytest

from tests.fakes.door import FrontDoor, front_door
from tests.fakes.worker import FakeWorker, failing, never

POPULAR = "/operations/get-popular-models"
ROUTE = "/v1/openai/images/generations"


async def draw(door: FrontDoor, model: str, n: int = 1, **options) -> None:
    """Have `n` images made."""
    ask = {"model": model, "prompt": "a fox", "n": n}
    assert (await door.post(ROUTE, ask, **options)).status == 200


async def test_credits_are_what_is_left_of_the_quota(
    door: FrontDoor, worker: FakeWorker
):
    key, secret = await door.knows("ada", quota_units=50_000)
    await draw(door, "test/test", n=2, secret=secret)

    credits_ = (await door.get("/v1/credits", secret=secret)).body
    tested = (await door.post("/v1/auth/test", secret=secret)).body

    assert credits_["remaining_credits"] == "40000"
    assert credits_["credit_usage"] == "10000"
    assert credits_["total_deposits"] == "50000"
    assert tested == {
        "success": True,
        "credits": 40_000,
        "account": "ada",
        "key_id": key.id,
        "scopes": ["generate"],
    }


async def test_what_is_reserved_is_neither_left_nor_used(
    door: FrontDoor, worker: FakeWorker
):
    worker.verdict = never
    _, secret = await door.knows("ada", quota_units=50_000)
    await door.post(
        "/v1/jobs", {"model": "test/test", "prompt": "a fox"}, secret=secret
    )

    credits_ = (await door.get("/v1/credits", secret=secret)).body

    assert credits_["reserved_credits"] == "5000"
    assert credits_["remaining_credits"] == "45000"
    assert credits_["credit_usage"] == "0"


async def test_key_without_a_quota_has_more_credits_than_any_number(door: FrontDoor):
    credits_ = (await door.get("/v1/credits")).body
    tested = (await door.get("/v1/auth/test")).body

    assert float(credits_["remaining_credits"]) == float("inf")
    assert float(credits_["total_deposits"]) == float("inf")
    assert tested["credits"] is None


@pytest.mark.parametrize("path", ["/v1/credits", "/v1/auth/test"])
async def test_credits_are_for_keys(door: FrontDoor, path: str):
    answer = await door.get(path, secret=None)

    assert (answer.status, answer.code) == (401, "missing_key")


async def test_wrong_key_fails_its_test(door: FrontDoor):
    answer = await door.post("/v1/auth/test", secret="sk_wrong")

    assert (answer.status, answer.code) == (401, "invalid_key")


async def test_popular_is_who_drew_most_images(door: FrontDoor, worker: FakeWorker):
    await draw(door, "test/test", n=3)
    await draw(door, "gpt-image-1", n=2)
    await draw(door, "openai/gpt-image-1", n=2)
    worker.verdict = failing("content_policy")
    await door.post(ROUTE, {"model": "test/flaky", "prompt": "a fox"})

    answer = await door.post(POPULAR, secret=None)

    assert answer.status == 200
    assert answer.body == ["openai/gpt-image-1", "test/test"]


async def test_ten_are_popular_at_most(door: FrontDoor, worker: FakeWorker):
    for seconds in range(12):
        await draw(door, f"test/slow-{seconds}")

    answer = await door.post(POPULAR)

    assert len(answer.body) == 10


async def test_key_sees_what_is_popular_among_its_models(
    door: FrontDoor, worker: FakeWorker
):
    _, secret = await door.knows("ada", models=frozenset({"test/test"}))
    await draw(door, "gpt-image-1", n=2)
    await draw(door, "test/test")

    answer = await door.post(POPULAR, secret=secret)

    assert answer.body == ["test/test"]


async def test_model_that_left_the_catalog_is_popular_no_more(
    shared_valkey, redis, door: FrontDoor, worker: FakeWorker, tmp_path
):
    await draw(door, "gpt-image-1")
    await draw(door, "test/test")
    smaller = tmp_path / "catalog.toml"
    smaller.write_text(CATALOG)

    async with front_door(shared_valkey.url, tmp_path, catalog_file=smaller) as later:
        answer = await later.post(POPULAR)

    assert answer.body == ["test/test"]


CATALOG = """
[providers.test]
adapter = "test"
[models."test/test"]
routes = ["test/test"]
sizes = ["64x64"]
"""


async def test_popular_is_for_keys_where_the_catalog_is_closed(
    shared_valkey, redis, tmp_path
):
    async with front_door(shared_valkey.url, tmp_path, open_catalog=False) as door:
        stranger = await door.post(POPULAR, secret=None)
        friend = await door.post(POPULAR)

    assert (stranger.status, stranger.code) == (401, "missing_key")
    assert (friend.status, friend.body) == (200, [])
