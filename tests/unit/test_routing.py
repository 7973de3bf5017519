"""In which order routes are tried, and which the caller may leave out."""

import itertools
from collections import Counter
from random import Random

import pytest

from service.core.catalog import parse_catalog
from service.core.errors import InvalidRequest
from service.core.requests import GenerationRequest
from service.intake.draft import Draft
from service.intake.routing import by_speed, gated, routes_for

CATALOG = parse_catalog(
    """
[providers.a]
adapter = "test"
[providers.b]
adapter = "test"
[providers.c]
adapter = "test"
max_images_in_flight = 3
[models.listed]
routes = ["a/fox", "b/fox", "c/fox"]
sizes = ["64x64"]
features = ["generate", "edit"]
route_features = { "b/fox" = ["generate"] }
[models.weighted]
routes = ["a/fox", "b/fox"]
sizes = ["64x64"]
strategy = "weighted"
weights = { "a/fox" = 3 }
[models.cheapest]
routes = ["a/fox", "b/fox", "c/fox"]
sizes = ["64x64"]
strategy = "cheapest"
route_prices = { "b/fox" = 0.02, "c/fox" = 0.01 }
[models.fastest]
routes = ["a/fox", "b/fox"]
sizes = ["64x64"]
strategy = "fastest"
[models."any/*"]
routes = ["a/*", "b/*", "c/*"]
sizes = ["64x64"]
features = ["generate", "edit"]
strategy = "cheapest"
route_prices = { "a/*" = 0.03, "b/*" = 0.02, "c/*" = 0.01 }
route_features = { "c/*" = ["generate"] }
""",
    file="test",
)


DICE = Random(7)


def order(model: str, *, operation: str = "generate", dice=DICE.random, **fields):
    draft = Draft.model_validate({"model": model, "prompt": "a fox", **fields})
    request = GenerationRequest(model=model, prompt="a fox", operation=operation)
    routes = routes_for(draft, request, CATALOG.model(model), CATALOG, dice=dice)
    return [route.provider for route in routes]


def test_routes_are_tried_as_the_catalog_lists_them():
    assert order("listed") == ["a", "b", "c"]


def test_the_cheapest_comes_first_and_the_unpriced_last():
    assert order("cheapest") == ["c", "b", "a"]


def test_what_a_pattern_says_of_its_routes_holds_under_every_name():
    assert order("any/fox") == ["c", "b", "a"]
    assert order("any/fox", operation="edit") == ["b", "a"]


def test_a_weight_says_how_often_a_route_comes_first():
    dice = Random(7).random

    first = Counter(order("weighted", dice=dice)[0] for _ in range(4000))

    assert first["a"] / 4000 == pytest.approx(0.75, abs=0.03)


def test_a_route_that_cannot_edit_is_left_out_of_edits():
    assert order("listed", operation="edit") == ["a", "c"]


FOXES = CATALOG.model("listed").routes
MS = {"a/fox": 900.0, "b/fox": 70.0}


def first_by_speed(*throws: float, speeds: dict[str, float]) -> list[str]:
    dice = iter(throws)
    routes = by_speed(FOXES, speeds, dice=lambda: next(dice))
    return [route.provider for route in routes]


def test_the_fastest_comes_first_and_the_unmeasured_last():
    assert first_by_speed(0.05, speeds=MS) == ["b", "a", "c"]
    assert first_by_speed(0.05, speeds={}) == ["a", "b", "c"]


def test_now_and_then_another_than_the_fastest_is_tried_the_unmeasured_before_others():
    assert first_by_speed(0.04, 0.99, speeds=MS) == ["c", "b", "a"]
    assert first_by_speed(0.04, 0.99, speeds={**MS, "c/fox": 80.0}) == ["a", "b", "c"]
    assert first_by_speed(0.04, 0.0, speeds={**MS, "c/fox": 80.0}) == ["c", "b", "a"]


def test_a_route_without_others_is_the_fastest():
    assert by_speed(FOXES[:1], MS, dice=lambda: 0.0) == FOXES[:1]


@pytest.mark.parametrize(
    ("fields", "left"),
    [
        ({"provider": "b"}, ["b"]),
        ({"provider": ["c", "a"]}, ["a", "c"]),
        ({"exclude_providers": ["a"]}, ["b", "c"]),
        ({"provider": ["a", "b"], "exclude_providers": ["a"]}, ["b"]),
    ],
)
def test_a_caller_may_keep_to_providers_and_leave_some_out(fields, left):
    assert order("listed", **fields) == left


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"provider": "nobody"}, "unknown_provider"),
        ({"exclude_providers": ["nobody"]}, "unknown_provider"),
        ({"exclude_providers": ["a", "b", "c"]}, "no_provider_left"),
        ({"provider": "a", "exclude_providers": ["a"]}, "no_provider_left"),
    ],
)
def test_a_choice_that_leaves_nobody_is_refused(fields, code):
    with pytest.raises(InvalidRequest) as refused:
        order("listed", **fields)

    assert refused.value.code == code


def test_only_what_needs_no_counting_and_no_order_is_left_out_of_the_record():
    model = CATALOG.model("weighted")
    turned = tuple(reversed(model.routes))

    kept = [
        gated(routes, model, CATALOG)
        for routes in (model.routes, turned, model.routes[:1])
    ]

    assert kept == [(), ("b/fox", "a/fox"), ("a/fox",)]
    assert list(itertools.chain(*kept))
    for name in ("listed", "fastest"):
        assert gated(CATALOG.model(name).routes, CATALOG.model(name), CATALOG)
