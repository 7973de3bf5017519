"""The document of the API as readers, generators and browsers fetch it."""

import pytest
import yaml
from openapi_spec_validator import validate

from tests.fakes.door import FrontDoor

PLACES = ["/openapi.json", "/.well-known/openapi.yaml", "/docs"]


async def test_json_is_openapi_and_names_where_it_is_served(door: FrontDoor):
    answer = await door.get("/openapi.json", secret=None)

    validate(answer.body)
    assert answer.body["servers"] == [{"url": door.url}]


async def test_yaml_says_the_same(door: FrontDoor):
    answer = await door.get("/.well-known/openapi.yaml", secret=None)

    assert answer.headers["Content-Type"] == "application/yaml"
    assert yaml.safe_load(answer.raw) == (await door.get("/openapi.json")).body


async def test_page_forbids_browsers_whatever_it_does_not_need(door: FrontDoor):
    answer = await door.get("/docs", secret=None)

    policy = answer.headers["Content-Security-Policy"]
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy


@pytest.mark.parametrize("place", PLACES)
async def test_who_has_it_already_is_told_so(door: FrontDoor, place: str):
    first = await door.get(place)

    again = await door.get(place, If_None_Match=first.headers["ETag"])

    assert (again.status, again.raw) == (304, b"")


@pytest.mark.parametrize("place", PLACES)
async def test_a_key_that_is_none_does_no_harm(door: FrontDoor, place: str):
    answer = await door.get(place, secret="sk_unknown")

    assert answer.status == 200
