"""Lists and maps of models, and which of them a key may use."""

import pytest

from tests.fakes.door import FrontDoor, front_door

ROUTE = "/v1/images/generations"
ASK = {"model": "test/test", "prompt": "a fox"}
MAPS = ["/v1/models?type=image", "/v2/models", "/v1/openai/models"]
MAPS.append("/v1/openai/images/models")


async def names(door: FrontDoor, query: str) -> list[str]:
    """Return the keys of the map that `query` asks for, without a key."""
    answer = await door.get(f"/v1/models?{query}", secret=None)
    assert answer.status == 200, answer.raw
    return list(answer.body)


async def test_models_are_listed_with_what_they_can_do(door: FrontDoor):
    listed = (await door.get("/v1/models")).body
    by_slash = await door.get("/v1/models/test/test")
    by_escape = await door.get(f"{door.url}/v1/models/test%2Ftest")

    ids = [model["id"] for model in listed["data"]]
    assert listed["object"] == "list"
    assert {"test/test", "multiroute-image-latest"} <= set(ids)
    assert by_slash.body["id"] == by_escape.body["id"] == "test/test"
    assert {"features", "sizes", "providers"} <= by_slash.body.keys()
    assert (await door.get("/v1/models/nobody/knows")).code == "unknown_model"


async def test_pattern_is_no_id_but_what_it_stands_for_is(door: FrontDoor):
    listed = (await door.get("/v1/models")).body["data"]
    mapped = await names(door, "name=slow")

    assert not [model["id"] for model in listed if "*" in model["id"]]
    assert mapped == []
    assert (await door.get("/v1/models/test/slow-3")).body["id"] == "test/slow-3"


async def test_key_sees_and_uses_only_its_models(door: FrontDoor):
    _, secret = await door.knows("ada", models=frozenset({"gpt-image-1"}))

    listed = (await door.get("/v1/models", secret=secret)).body["data"]
    mapped = (await door.get("/v2/models", secret=secret)).body
    refused = await door.post(ROUTE, ASK, secret=secret)
    allowed = await door.post(
        ROUTE,
        {"model": "openai/gpt-image-1", "prompt": "a fox", "async": True},
        secret=secret,
    )

    assert {model["canonical"] for model in listed} == {"openai/gpt-image-1"}
    assert list(mapped) == ["openai/gpt-image-1"]
    assert (refused.status, refused.code) == (403, "model_not_allowed")
    assert allowed.status == 202


@pytest.mark.parametrize("path", MAPS)
async def test_map_is_keyed_by_name_and_open_to_everybody(door: FrontDoor, path: str):
    answer = await door.get(path, secret=None)

    assert answer.status == 200
    assert answer.body["test/test"]["output"] == ["image"]


@pytest.mark.parametrize("path", MAPS)
async def test_map_is_for_keys_where_the_catalog_is_closed(
    shared_valkey, redis, tmp_path, path: str
):
    async with front_door(shared_valkey.url, tmp_path, open_catalog=False) as door:
        stranger = await door.get(path, secret=None)
        friend = await door.get(path)

    assert (stranger.status, stranger.code) == (401, "missing_key")
    assert friend.status == 200


@pytest.mark.parametrize("path", MAPS)
async def test_wrong_key_opens_nothing_even_what_is_open(door: FrontDoor, path: str):
    answer = await door.get(path, secret="sk_wrong")

    assert (answer.status, answer.code) == (401, "invalid_key")


async def test_list_without_a_filter_is_for_keys(door: FrontDoor):
    answer = await door.get("/v1/models", secret=None)

    assert (answer.status, answer.code) == (401, "missing_key")


async def test_filters_name_a_part_in_any_case(door: FrontDoor):
    by_name = await names(door, "name=GPT-image-1")
    by_provider = await names(door, "provider=Test")
    by_both = await names(door, "provider=openai&name=test")

    assert by_name == ["openai/gpt-image-1", "openai/gpt-image-1-mini"]
    assert "test/flaky" in by_provider
    assert all(name.startswith("test/") for name in by_provider)
    assert by_both == []


async def test_free_is_what_costs_nothing_in_any_form(door: FrontDoor):
    free = await names(door, "free=true")
    priced = await names(door, "free=false")

    assert "test/test" in free
    assert "openai/dall-e-3" in priced
    assert not set(free) & set(priced)


async def test_maps_come_in_the_order_that_was_asked_for(door: FrontDoor):
    usual = await names(door, "type=image")
    by_date = await names(door, "sort=date")
    by_name = await names(door, "sort=name")
    by_price = await names(door, "sort=price&provider=openai")
    by_provider = await names(door, "sort=provider")

    assert usual == by_date
    assert by_name == sorted(usual)
    assert (by_price[0], by_price[-1]) == (
        "openai/gpt-image-1-mini",
        "openai/gpt-image-2",
    )
    assert by_provider[0].startswith("bedrock/")
    assert by_provider[-1].startswith("xai/")


async def test_limit_counts_what_is_left_after_filters(door: FrontDoor):
    two = await names(door, "provider=openai&sort=name&limit=2")

    assert two == ["openai/dall-e-2", "openai/dall-e-3"]


async def test_videos_are_looked_for_in_vain(door: FrontDoor):
    assert await names(door, "type=video") == []


async def test_filter_without_a_value_asks_for_a_map_and_filters_nothing(
    door: FrontDoor,
):
    assert await names(door, "name=&limit=") == await names(door, "type=image")


@pytest.mark.parametrize(
    ("query", "code", "param"),
    [
        ("sort=beauty", "invalid_enum", "sort"),
        ("type=audio", "invalid_enum", "type"),
        ("free=yes", "invalid_enum", "free"),
        ("limit=0", "invalid_pagination", "limit"),
        ("limit=-1", "invalid_pagination", "limit"),
        ("limit=1e9", "invalid_pagination", "limit"),
        ("name=a&name=b", "duplicate_param", "name"),
        ("colour=red", "unknown_param", "colour"),
    ],
)
async def test_filter_that_cannot_be_read_is_refused(
    door: FrontDoor, query: str, code: str, param: str
):
    answer = await door.get(f"/v1/models?{query}", secret=None)

    assert (answer.status, answer.code) == (400, code)
    assert answer.body["error"]["param"] == param
