"""What operators do over the API: keys, and a provider that is tried out."""

import os
from datetime import UTC, datetime, timedelta

import pytest

from service.accounts import Scope
from tests.fakes.door import FrontDoor

LIMITS = {"requests_per_minute": 60, "quota_units": 0, "weight": 3}


@pytest.fixture
async def admin(door: FrontDoor) -> str:
    _, secret = await door.knows("operations", scopes=frozenset({Scope.ADMIN}))
    return secret


async def test_a_key_is_made_listed_and_revoked(door: FrontDoor, admin: str):
    ends = int((datetime.now(UTC) + timedelta(days=1)).timestamp())
    wish = {"account": "calendar", "models": ["test/test"], "expires_at": ends}

    made = await door.post("/v1/keys", {**wish, **LIMITS}, secret=admin)
    works = await door.get("/v1/jobs", secret=made.body["key"])
    listed = await door.get("/v1/keys", secret=admin)
    revoke = f"/v1/keys/{made.body['id']}/revoke"
    revoked = [await door.post(revoke, secret=admin) for _ in range(2)]
    refused = await door.get("/v1/jobs", secret=made.body["key"])

    assert (made.status, works.status) == (201, 200)
    assert made.headers["Cache-Control"] == "no-store"
    shown = {k: v for k, v in made.body.items() if k != "key"}
    assert shown in listed.body["data"]
    assert {**wish, **LIMITS}.items() <= shown.items()
    assert made.body["key"].encode() not in listed.raw
    assert revoked[0].body == revoked[1].body
    assert refused.code == "key_revoked"


@pytest.mark.parametrize(
    ("wish", "code"),
    [
        ({}, "missing_field"),
        ({"account": "a b"}, "out_of_range"),
        ({"account": "a", "scopes": []}, "out_of_range"),
        ({"account": "a", "scopes": ["root"]}, "invalid_enum"),
        ({"account": "a", "weight": 0}, "out_of_range"),
        ({"account": "a", "models": ["test/nothing"]}, "unknown_model"),
        ({"account": "a", "secret": "mine"}, "unknown_field"),
    ],
)
async def test_what_cannot_be_granted_is_refused(
    door: FrontDoor, admin: str, wish: dict[str, object], code: str
):
    refused = await door.post("/v1/keys", wish, secret=admin)
    unknown = await door.post("/v1/keys/key_0/revoke", secret=admin)

    assert (refused.code, unknown.code) == (code, "not_found")


async def test_a_provider_is_tried_out(door: FrontDoor, admin: str):
    drawn = await door.post("/v1/providers/test/test", secret=admin)
    unknown = await door.post("/v1/providers/nobody/test", secret=admin)

    assert (drawn.status, drawn.body["error"]) == (200, None)
    assert drawn.body["content_type"] == "image/png"
    assert unknown.code == "not_found"


@pytest.mark.skipif("OPENAI_API_KEY" in os.environ, reason="it would be asked")
async def test_without_a_key_there_is_nothing_to_try(door: FrontDoor, admin: str):
    refused = await door.post("/v1/providers/openai/test", secret=admin)

    assert (refused.status, refused.code) == (409, "not_testable")
    assert "OPENAI_API_KEY" in refused.body["error"]["message"]
