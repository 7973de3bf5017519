"""From a draft to a request: what it may cost, leave out, and be equal to."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from service.accounts import ApiKey, Scope
from service.core.catalog import parse_catalog
from service.core.errors import InvalidRequest
from service.intake.compose import Composed, compose
from service.intake.digests import cache_key_of
from service.intake.draft import Draft
from service.intake.uploads import NO_UPLOADS, Uploads, linked

KEY = ApiKey(
    id="key_1",
    account="ada",
    scopes=frozenset(Scope),
    created_at=datetime(2026, 11, 1, tzinfo=UTC),
)
CATALOG = parse_catalog(
    """
    [providers.p]
    adapter = "test"

    [models.dear]
    routes = ["p/dear"]
    features = ["generate", "edit", "quality", "seed"]
    sizes = ["1024x1024", "512x512"]
    max_n = 4
    price_usd = { low = 0.042, default = 0.1 }

    [models.dark]
    routes = ["p/dark"]
    sizes = ["1024x1024"]
    """,
    file="catalog.toml",
)


IMAGE = linked("image", "https://pets.example/cat.png")


def composed(
    operation: str = "generate", uploads: Uploads | None = None, **fields
) -> Composed:
    draft = Draft.model_validate({"model": "dear", **fields})
    if uploads is None:
        uploads = NO_UPLOADS if operation == "generate" else Uploads((IMAGE,))
    return compose(
        draft, key=KEY, catalog=CATALOG, operation=operation, uploads=uploads
    )


def refusal(
    operation: str = "generate", uploads: Uploads | None = None, **fields
) -> tuple[str, str | None]:
    with pytest.raises(InvalidRequest) as caught:
        composed(operation, uploads, **fields)
    return caught.value.code, caught.value.param


def key_of(uploads: Uploads = NO_UPLOADS, **fields) -> str:
    return cache_key_of(composed(**{"prompt": "a fox", **fields}).request, uploads)


@pytest.mark.parametrize(
    ("fields", "price"),
    [
        ({"quality": "low"}, (Decimal("0.042"), "priced")),
        ({"quality": "low", "n": 3}, (Decimal("0.126"), "priced")),
        ({"quality": "high"}, (Decimal("0.1"), "estimated")),
        ({"model": "dark"}, None),
    ],
)
def test_price_is_that_of_all_images(fields: dict, price: object):
    assert composed(prompt="a fox", **fields).price == price


def test_price_may_reach_what_it_may_cost_to_the_last_digit():
    fields = {"prompt": "a fox", "quality": "low", "n": 3}

    passed = composed(max_cost=0.126, **fields)
    refused = refusal(max_cost=0.1259, **fields)

    assert passed.request.n == 3
    assert refused == ("max_cost_exceeded", "max_cost")


def test_price_that_nobody_knows_is_more_than_anybody_allows():
    refused = refusal(model="dark", prompt="a fox", max_cost=1_000_000)

    assert refused == ("unknown_price", "max_cost")


def test_words_are_asked_for_where_there_is_nothing_else():
    assert refusal() == ("missing_field", "prompt")
    assert refusal(prompt="") == ("empty_prompt", "prompt")
    assert refusal(prompt=" \u200b") == ("empty_prompt", "prompt")


@pytest.mark.parametrize("prompt", [None, ""])
def test_images_need_no_words(prompt: str | None):
    request = composed("edit", prompt=prompt).request

    assert (request.operation, request.prompt) == ("edit", "")


def test_words_beside_images_are_held_to_the_same_rules():
    assert refusal("edit", prompt="  ") == ("empty_prompt", "prompt")
    assert refusal("edit", prompt="\x00") == ("invalid_text", "prompt")


def test_model_is_asked_for_nothing_that_it_does_not_do():
    assert refusal("variation") == ("unsupported_operation", "model")
    assert refusal("edit", model="dark") == ("unsupported_operation", "model")


@pytest.mark.parametrize(
    ("operation", "uploads", "refused"),
    [
        ("edit", NO_UPLOADS, ("missing_field", "image")),
        ("generate", Uploads((), IMAGE), ("missing_field", "image")),
        ("generate", Uploads((IMAGE,)), ("incompatible_options", "operation")),
        ("edit", Uploads((IMAGE,) * 17), ("too_many_images", "image")),
        ("edit", Uploads((IMAGE,), IMAGE), ("unsupported_field", "mask")),
    ],
)
def test_images_must_fit_what_is_asked_for(
    operation: str, uploads: Uploads, refused: object
):
    assert refusal(operation, uploads, prompt="a fox") == refused


@pytest.mark.parametrize(
    "fields",
    [
        {"prompt": " a\tfox\n"},
        {"user": "ada"},
        {"failover_on_refusal": True},
        {"max_cost": 1},
        {"strict": False},
        {"output_format": "png"},
    ],
)
def test_what_nobody_sees_makes_no_other_image(fields: dict):
    assert key_of(**fields) == key_of()


def test_composed_and_decomposed_letters_are_the_same_word():
    assert key_of(prompt="caf\u00e9") == key_of(prompt="cafe\u0301")


@pytest.mark.parametrize(
    "fields",
    [
        {"prompt": "a Fox"},
        {"model": "dark"},
        {"n": 2},
        {"seed": 7},
        {"quality": "low"},
        {"output_format": "webp"},
        {"size": "512x512"},
    ],
)
def test_what_anybody_sees_makes_another_image(fields: dict):
    assert key_of(**fields) != key_of()


def test_images_to_start_from_are_known_by_what_was_sent():
    cat, dog = (linked("image", f"https://pets.example/{name}") for name in "cd")
    both, swapped = Uploads((cat, dog)), Uploads((dog, cat))
    masked = replace(dog, param="mask")

    keys = [key_of(u) for u in (Uploads((cat,)), both, swapped, Uploads((cat,), dog))]

    assert len({key_of(), *keys}) == 5
    assert key_of(Uploads((cat,), masked)) == keys[-1]
