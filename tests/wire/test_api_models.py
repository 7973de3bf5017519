"""`/v1/models`, and which of them a key may use."""

from tests.fakes.door import FrontDoor

ROUTE = "/v1/images/generations"
ASK = {"model": "test/test", "prompt": "a fox"}


async def test_models_are_listed_with_what_they_can_do(door: FrontDoor):
    listed = (await door.get("/v1/models")).body
    by_slash = await door.get("/v1/models/test/test")
    by_escape = await door.get(f"{door.url}/v1/models/test%2Ftest")

    ids = [model["id"] for model in listed["data"]]
    assert listed["object"] == "list"
    assert {"test/test", "multiroute-image-latest"} <= set(ids)
    assert by_slash.body["id"] == by_escape.body["id"] == "test/test"
    assert (await door.get("/v1/models/nobody/knows")).code == "unknown_model"


async def test_key_sees_and_uses_only_its_models(door: FrontDoor):
    _, secret = await door.knows("ada", models=frozenset({"gpt-image-1"}))

    listed = (await door.get("/v1/models", secret=secret)).body["data"]
    refused = await door.post(ROUTE, ASK, secret=secret)
    allowed = await door.post(
        ROUTE,
        {"model": "openai/gpt-image-1", "prompt": "a fox", "async": True},
        secret=secret,
    )

    assert {model["canonical"] for model in listed} == {"openai/gpt-image-1"}
    assert (refused.status, refused.code) == (403, "model_not_allowed")
    assert allowed.status == 202
