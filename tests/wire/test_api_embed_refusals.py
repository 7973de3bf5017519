"""Links that show nothing: what stands in them is read strictly, keys above all."""

import pytest
from redis.asyncio import Redis

from service.accounts import Scope
from tests.fakes.door import FrontDoor
from tests.fakes.embeds import EMBED, GENERATE, ROUTE, jobs_in, look
from tests.fakes.worker import FakeWorker


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
