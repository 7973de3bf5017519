"""A model's entry in ImageRouter's maps."""

from typing import Any

import pytest

from service.api.models_map import described, described_v2, price_range
from service.core.catalog import Model, parse_catalog

MODEL = """
[providers.test]
adapter = "test"
[providers.spare]
adapter = "test"
[models."ada/sketch"]
routes = ["test/sketch", "spare/pencil"]
"""


def model(keys: str = "", sizes: str = 'sizes = ["1024x1024", "1536x1024"]') -> Model:
    text = f"{MODEL}{sizes}\n{keys}"
    return parse_catalog(text, file="catalog.toml").models["ada/sketch"]


def test_providers_stand_in_the_order_of_the_routes():
    entry = described(model("price_usd = 0.04"))

    assert entry["providers"] == [
        {"id": "test", "model_name": "sketch", "pricing": fixed(0.04)},
        {"id": "spare", "model_name": "pencil", "pricing": fixed(0.04)},
    ]


def fixed(usd: float) -> dict[str, Any]:
    return {"type": "fixed", "value": usd}


def test_table_of_prices_is_a_range_around_the_usual_one():
    table = (
        'price_usd = { low = 0.01, default = { "1024x1024" = 0.04, default = 0.06 } }'
    )

    entry = described(model(table))

    prices = {"min": 0.01, "average": 0.04, "max": 0.06}
    assert entry["providers"][0]["pricing"] == {"type": "calculated", "range": prices}
    assert described_v2(model(table))["price"] == prices


def test_price_that_nobody_knows_is_not_made_up():
    unknown = {"min": None, "average": None, "max": None}

    assert price_range(model()) == unknown
    assert described(model())["providers"][0]["pricing"] == {"type": "post_generation"}


def test_usual_price_is_unknown_where_the_table_names_only_others():
    assert price_range(model("price_usd = { hd = 0.08 }")) == {
        "min": 0.08,
        "average": None,
        "max": 0.08,
    }


@pytest.mark.parametrize(
    ("sizes", "listed"),
    [
        ('sizes = ["1024x1024", "1536x1024"]', ["auto", "1024x1024", "1536x1024"]),
        ('ratios = ["1:1"]\ntiers = ["1K", "2K"]', ["auto", "1024x1024", "2048x2048"]),
        ("size_multiple = 16\nsize_max = 2048", ["custom"]),
    ],
)
def test_sizes_are_listed_where_they_can_be(sizes: str, listed: list[str]):
    assert described(model(sizes=sizes))["sizes"] == listed
    assert described_v2(model(sizes=sizes))["inputs"]["size"] == listed


def test_features_become_the_labels_of_either_version():
    sketch = model('features = ["generate", "edit", "quality"]')

    assert described(sketch)["supported_params"] == {
        "edit": True,
        "mask": False,
        "quality": True,
    }
    inputs = described_v2(sketch)["inputs"]
    assert (inputs["image"], inputs["mask"], inputs["quality"]) == (True, False, True)


def test_versions_say_the_rest_alike():
    first, second = described(model()), described_v2(model())

    assert first["output"] == second["output"] == ["image"]
    assert first.keys() - second.keys() == {"providers", "sizes", "supported_params"}
    assert second.keys() - first.keys() == {"price", "inputs"}
