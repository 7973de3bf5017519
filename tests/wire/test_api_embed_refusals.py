"""Links that show nothing: what stands in them is read strictly, keys above all."""

import pytest
from redis.asyncio import Redis

from service.accounts import Scope
from tests.fakes.door import FrontDoor
from tests.fakes.embeds import EMBED, GENERATE, ROUTE, jobs_in, look
from tests.fakes.worker import FakeWorker


@pytest.mark.parametrize(
    ("model", "status", "code"),
    [
        ("openai/dall-e-2", 400, "model_not_embeddable"),
        ("no-such-model", 400, "model_not_embeddable"),
        ("../admin", 404, "unknown_model"),
        ("%2e%2e", 404, "unknown_model"),
        ("te%00st", 404, "unknown_model"),
        ("x" * 5000, 404, "unknown_model"),
    ],
)
async def test_only_models_that_are_enabled_for_it_are_shown(
    door: FrontDoor, embed_secret: str, redis: Redis, model: str, status: int, code: str
):
    path = f"/embed/image:{model}?key={embed_secret}&prompt=a"

    answer = await door.call("GET", path, secret=None, encoded=True)

    assert (answer.status, answer.code) == (status, code)
    assert answer.headers["Cache-Control"] == "no-store"
    assert await jobs_in(redis) == 0


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ("", 400, "missing_field"),
        ("prompt=", 400, "missing_field"),
        ("prompt=+%E2%80%8B", 400, "empty_prompt"),
        ("prompt=%01", 400, "invalid_text"),
        ("prompt=%ff", 400, "invalid_encoding"),
        ("prompt=%zz", 400, "invalid_encoding"),
        ("prompt=100%", 400, "invalid_encoding"),
        ("prompt=%00", 400, "invalid_encoding"),
        ("prompt=%ed%a0%80", 400, "invalid_encoding"),
        ("prompt=a&prompt=b", 400, "duplicate_param"),
        ("prompt[]=a", 400, "duplicate_param"),
        ("prompt%5B%5D=a", 400, "duplicate_param"),
        ("prompt=a&utm_x=1", 400, "unknown_param"),
        ("prompt=a&Prompt=b", 400, "unknown_param"),
        ("prompt=a&references=", 400, "invalid_url"),
        ("prompt=a&references=,,", 400, "invalid_url"),
        ("prompt=a&references=https://x/1,https://x/1", 400, "invalid_url"),
        ("prompt=a&references=data:image/png;base64,AAAA", 400, "invalid_url"),
        ("prompt=a&references=ftp://x/1", 400, "invalid_url"),
        (
            "prompt=a&references=" + ",".join(f"https://x/{i}" for i in range(17)),
            400,
            "too_many_references",
        ),
        ("prompt=" + "x" * 7168, 400, "uri_too_long"),
        ("prompt=" + "x" * 9000, 400, "uri_too_long"),
        ("prompt=a&sig=abc", 400, "ambiguous_auth"),
    ],
)
async def test_query_is_read_strictly_and_never_said_again(
    door: FrontDoor, embed_secret: str, redis: Redis, query: str, status: int, code: str
):
    path = f"{ROUTE}?key={embed_secret}&{query}"

    answer = await door.call("GET", path, secret=None, encoded=True)

    assert (answer.status, answer.code) == (status, code)
    assert embed_secret.encode() not in answer.raw
    assert b"utm_x" not in answer.raw
    assert await jobs_in(redis) == 0


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "TRACE"])
async def test_image_can_only_be_read(door: FrontDoor, embed_secret: str, method: str):
    url = f"{ROUTE}?key={embed_secret}&prompt=a"

    answer = await door.call(method, url, secret=None)

    assert (answer.status, answer.code) == (405, "method_not_allowed")
    assert answer.headers["Allow"] == "GET,HEAD"


async def test_key_may_come_in_a_header_as_well(door: FrontDoor, worker: FakeWorker):
    _, secret = await door.knows("default", scopes=GENERATE)

    answer = await door.get(f"{ROUTE}?prompt=a", secret=secret)

    assert answer.status == 200


@pytest.mark.parametrize(
    ("scopes", "place", "status", "code"),
    [
        (GENERATE, "query", 400, "key_not_for_urls"),
        ({Scope.ADMIN}, "query", 400, "key_not_for_urls"),
        ({Scope.ADMIN}, "header", 403, "key_scope"),
        (EMBED, "both", 400, "ambiguous_auth"),
        (EMBED, "none", 401, "missing_key"),
    ],
)
async def test_key_must_be_made_for_the_place_it_stands_in(
    door: FrontDoor,
    redis: Redis,
    scopes: set[Scope],
    place: str,
    status: int,
    code: str,
):
    _, secret = await door.knows("default", scopes=frozenset(scopes))
    in_query, in_header = place in {"query", "both"}, place in {"header", "both"}

    answer = await door.get(
        f"{ROUTE}?prompt=a" + (f"&key={secret}" if in_query else ""),
        secret=secret if in_header else None,
    )

    assert (answer.status, answer.code) == (status, code)
    assert await jobs_in(redis) == 0


async def test_key_for_pages_makes_no_images_elsewhere(
    door: FrontDoor, embed_secret: str
):
    ask = {"model": "test/test", "prompt": "a"}

    answer = await door.post("/v1/images/generations", ask, secret=embed_secret)

    assert (answer.status, answer.code) == (403, "key_scope")


async def test_key_that_is_none_or_was_revoked_opens_nothing(door: FrontDoor):
    key, secret = await door.knows("default", scopes=EMBED)
    await door.accounts.revoke(key.id)

    unknown = await look(door, "sk_nobody")
    revoked = await look(door, secret)

    assert (unknown.status, unknown.code) == (401, "invalid_key")
    assert (revoked.status, revoked.code) == (401, "key_revoked")


async def test_key_shows_its_own_models_only_even_from_the_cache(
    door: FrontDoor, worker: FakeWorker, embed_secret: str
):
    await look(door, embed_secret)
    models = frozenset({"openai/dall-e-2"})
    _, other = await door.knows("default", scopes=EMBED, models=models)

    answer = await look(door, other)

    assert (answer.status, answer.code) == (403, "model_not_allowed")


async def test_accounts_share_no_images(
    door: FrontDoor, worker: FakeWorker, embed_secret: str
):
    _, stranger = await door.knows("other", scopes=EMBED)
    await look(door, embed_secret)

    answer = await look(door, stranger)

    assert answer.headers["X-Cache"] == "MISS"


async def test_log_says_nothing_of_what_a_link_says(
    door: FrontDoor,
    worker: FakeWorker,
    embed_secret: str,
    capfd: pytest.CaptureFixture[str],
):
    _, exposed = await door.knows("default", scopes=GENERATE)

    await look(door, embed_secret, "zebra")
    await look(door, embed_secret, "zebra%ff")
    await look(door, exposed, "zebra")

    said = "".join(capfd.readouterr())
    assert "key.exposed" in said
    assert "/embed/image:{model}" in said
    assert "zebra" not in said
    assert embed_secret not in said
    assert exposed not in said
