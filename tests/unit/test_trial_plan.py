"""What a provider is asked for when it is tested: as little as it can be paid for."""

import pytest

from service.core.catalog import parse_catalog
from workers.trial.plan import NotTestable, Plan, plan_for

CATALOG = parse_catalog(
    """
[providers.a]
adapter = "test"
[providers.b]
adapter = "test"
[models.unpriced]
routes = ["a/unpriced"]
sizes = ["64x64"]
[models.dear]
routes = ["b/dear", "a/dear"]
features = ["generate", "quality"]
sizes = ["2048x2048", "512x512"]
price_usd = { low = 0.02, default = 0.5 }
[models.cheap]
routes = ["a/cheap"]
size_multiple = 16
size_min = 256
size_max = 2048
price_usd = 0.01
[models.filling]
routes = ["a/filling", "b/filling"]
features = ["edit"]
sizes = ["64x64"]
price_usd = 0
[models."any/*"]
routes = ["a/*"]
sizes = ["32x32"]
price_usd = 0
""",
    file="test",
)


def plan(provider: str, model: str | None = None) -> Plan:
    return plan_for(CATALOG, provider, model=model, prompt="a fox", output_format="png")


def test_the_cheapest_model_that_draws_from_words_is_tried_at_its_least():
    tried = plan("a")

    assert str(tried.route) == "a/cheap"
    assert tried.request.size == "256x256"
    assert tried.price == "about $0.01"


def test_a_model_that_is_named_is_tried_on_its_route_to_the_provider():
    tried = plan("a", "dear")

    assert str(tried.route) == "a/dear"
    assert (tried.request.size, tried.request.quality) == ("512x512", "low")
    assert tried.price == "about $0.02"


def test_a_pattern_is_tried_under_a_name_only():
    assert str(plan("a", "any/thing").route) == "a/thing"


def test_what_a_model_without_price_costs_is_not_known():
    assert plan("a", "unpriced").price == "at a price that the catalog does not know"


@pytest.mark.parametrize(
    ("provider", "model", "why"),
    [
        ("c", None, "there is no provider c: there are a, b"),
        ("a", "nix", "there is no model 'nix'"),
        ("b", "cheap", "b has no route to an image from words of model cheap"),
        ("b", "filling", "b has no route to an image from words of model filling"),
    ],
)
def test_what_cannot_be_tried_is_said(provider: str, model: str | None, why: str):
    with pytest.raises(NotTestable, match=why):
        plan(provider, model)
