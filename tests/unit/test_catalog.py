"""The catalog: what it answers to, and how it refuses a file."""

from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from service.catalog_file import load_catalog
from service.core.catalog import Route, parse_catalog
from service.core.errors import CatalogError, UnknownModel
from service.core.sizing import ExactSizes, FreeSizes, Size
from service.settings import PACKAGED_CATALOG

GOOD = """
[providers.one]
adapter = "openai"
base_url = "https://one.example/v1/"
api_key_env = "ONE_KEY"
timeout_s = 12.5

[providers.test]
adapter = "test"

[models."big/cat"]
routes = ["one/cat-2", "test/test"]
sizes = ["1024x1024", "1536x1024"]

[models."big/dog"]
routes = ["one/cat-2", "one/dog"]
sizes = ["512x512"]

[models."test/slow-*"]
routes = ["test/slow-*"]
size_multiple = 1
size_min = 16
size_max = 4096

[aliases]
kitten = "big/cat"
nap = "test/slow-9"
"""
MODEL = """
[providers.one]
adapter = "test"
[models.m]
routes = ["one/m"]
sizes = ["512x512"]
"""


def refusal_of(text: str) -> str:
    with pytest.raises(CatalogError) as refusal:
        parse_catalog(text, file="catalog.toml")
    return str(refusal.value)


@pytest.fixture
def catalog():
    return parse_catalog(GOOD, file="catalog.toml")


def test_models_keep_the_order_of_the_file(catalog):
    assert list(catalog.models) == ["big/cat", "big/dog", "test/slow-*"]


def test_routes_keep_their_order(catalog):
    assert catalog.model("big/cat").routes == (
        Route(provider="one", provider_model="cat-2"),
        Route(provider="test", provider_model="test"),
    )


def test_a_route_reads_as_the_file_writes_it(catalog):
    assert [str(r) for r in catalog.model("big/dog").routes] == ["one/cat-2", "one/dog"]


def test_a_provider_is_what_the_operator_wrote(catalog):
    entry = catalog.providers["one"]

    assert entry.base_url == "https://one.example/v1"
    assert entry.timeout == timedelta(seconds=12.5)
    assert entry.max_in_flight is None


def test_an_alias_answers_with_its_model(catalog):
    assert catalog.model("kitten").name == "big/cat"


def test_a_provider_model_answers_to_its_bare_name(catalog):
    assert catalog.model("dog").name == "big/dog"


def test_an_ambiguous_bare_name_is_the_first_of_the_file(catalog):
    assert catalog.model("cat-2").name == "big/cat"


def test_a_pattern_answers_with_a_model_of_the_name_asked_for(catalog):
    model = catalog.model("test/slow-3")

    assert model.name == "test/slow-3"
    assert model.routes == (Route(provider="test", provider_model="slow-3"),)


def test_an_alias_may_lead_into_a_pattern(catalog):
    assert catalog.model("nap").name == "test/slow-9"


@pytest.mark.parametrize(
    "name",
    [
        "",
        "cat",
        "BIG/CAT",
        "../x",
        "test/slow-",
        "test/slow-*",
        "test/slow-../x",
        "test/slow-3\n",
        "slow-3",
        "x" * 5000,
    ],
)
def test_a_name_that_nothing_answers_to_is_unknown(catalog, name):
    with pytest.raises(UnknownModel) as refusal:
        catalog.model(name)

    assert (refusal.value.code, refusal.value.param) == ("unknown_model", "model")
    assert len(str(refusal.value)) < 200


@pytest.mark.parametrize(
    ("quality", "size", "dollars"),
    [
        ("low", "1024x1024", "0.01"),
        ("low", "1536x1024", "0.02"),
        ("high", "1024x1024", "0.3"),
        (None, "1024x1024", None),
    ],
)
def test_a_price_table_is_read_by_quality_and_size(quality, size, dollars):
    prices = (
        '[models.m.price_usd]\nlow = {"1024x1024" = 0.01, default = 0.02}\nhigh = 0.3'
    )
    model = parse_catalog(MODEL + prices, file="c").model("m")

    price = model.price_for(quality=quality, size=size, tier="1K")

    assert price == (None if dollars is None else Decimal(dollars))


def test_a_single_price_is_the_price_of_everything():
    model = parse_catalog(MODEL + "price_usd = 0.042", file="c").model("m")

    assert model.price_for(quality="hd", size="1x1", tier="4K") == Decimal("0.042")


@pytest.mark.parametrize(
    ("quality", "size", "source"),
    [
        ("low", "1024x1024", "priced"),
        ("low", "1536x1024", "estimated"),
        (None, "1024x1024", "estimated"),
        ("high", "1x1", "priced"),
    ],
)
def test_a_price_that_a_default_stands_for_is_an_estimate(quality, size, source):
    prices = (
        "[models.m.price_usd]\nhigh = 0.3\ndefault = 0.1\n"
        'low = {"1024x1024" = 0.01, default = 0.02}'
    )
    model = parse_catalog(MODEL + prices, file="c").model("m")

    quote = model.quote_for(quality=quality, size=size, tier="1K")

    assert quote is not None
    assert quote.source == source


def test_a_model_without_a_price_has_none(catalog):
    assert catalog.model("dog").price_for(quality=None, size="1x1", tier="1K") is None


@pytest.mark.parametrize(("tier", "units"), [("1K", 7500), ("2K", 7500), ("4K", 18750)])
def test_quota_units_grow_with_the_tier_and_the_multiplier(tier, units):
    model = parse_catalog(MODEL + "token_multiplier = 1.5", file="c").model("m")

    assert model.units_for(tier) == units


def test_sizes_may_be_ratios_and_tiers():
    text = MODEL.replace(
        'sizes = ["512x512"]', 'ratios = ["1:1"]\ntiers = ["2K", "4K"]'
    )

    sizing = parse_catalog(text, file="c").model("m").sizing

    assert sizing.offer == ExactSizes((Size(2048, 2048), Size(4096, 4096)))


def test_sizes_may_be_multiples_within_bounds():
    text = MODEL.replace(
        'sizes = ["512x512"]',
        "size_multiple = 16\nsize_max = 3840\nmax_megapixels = 8.2944\nsnap = false",
    )

    sizing = parse_catalog(text, file="c").model("m").sizing

    assert isinstance(sizing.offer, FreeSizes)
    assert (sizing.offer.shortest, sizing.offer.max_pixels) == (16, 3840 * 2160)
    assert not sizing.snap


@pytest.mark.parametrize(
    ("line", "path"),
    [
        ("color = 1", "models.m.color: is not known here"),
        ("tiers = ['1K']", "models.m.tiers: is not known here"),
        ("size_max = 64", "models.m.size_max: is not known here"),
        ("max_n = 0", "models.m.max_n: must be a whole number"),
        ("max_n = 11", "models.m.max_n: must be a whole number"),
        ("max_n = true", "models.m.max_n: must be a whole number"),
        ('max_n = "4"', "models.m.max_n: must be a whole number"),
        ("price_usd = -1", "models.m.price_usd: must be a number"),
        ("price_usd = nan", "models.m.price_usd: must be a number"),
        ("price_usd = true", "models.m.price_usd: must be a number"),
        ("price_usd = {cheap = 1}", "models.m.price_usd.cheap: is no quality"),
        ('price_usd = {low = "1"}', "models.m.price_usd.low: must be a number"),
        ("token_multiplier = 0", "models.m.token_multiplier: must be a number"),
        ('embed = "yes"', "models.m.embed: must be true or false"),
        ('strategy = "luck"', "models.m.strategy: 'luck' is none of priority"),
        ("weights = {'one/x' = 2}", "models.m.weights.one/x: is no route of this"),
        ("weights = {'one/*' = 2}", "models.m.weights.one/*: is no route of this"),
        ("weights = {'one/m' = 0}", "models.m.weights.one/m: must be a whole number"),
        ("route_prices = {m = 1}", "models.m.route_prices.m: is no route of this"),
        (
            "route_features = {'one/x' = ['edit']}",
            "models.m.route_features.one/x: is",
        ),
        ("features = []", "models.m.features: must be a list that is not empty"),
        ('features = ["fly"]', "models.m.features: 'fly' is none of generate"),
        ('output_formats = ["gif"]', "models.m.output_formats: 'gif' is none of"),
        ('output_formats = ["png", "png"]', "models.m.output_formats: names something"),
        ("output_formats = [1]", "models.m.output_formats: must hold strings only"),
        ("size_multiple = 16\nsize_max = 4096", "models.m.sizes: give one of"),
        ("[models.n]\nroutes = 1\n", "models.n.routes: must be a list"),
        ('[models."n/n"]\nmax_n = 1', 'models."n/n".routes: is missing'),
        ('[models."n n"]', 'models."n n": is not a name that a model can have'),
        ("[providers.two]\nadapter = 'fax'", "providers.two.adapter: 'fax' is none of"),
        ("[providers.two]\nbase_url = 'x'", "providers.two.adapter: is missing"),
        ("[providers.two]\nadapter = 1", "providers.two.adapter: must be a string"),
        ("[providers.Two]", "providers.Two: a provider's name is"),
        ("[providers.two]\nadapter = 'openai'", "providers.two.base_url: must be"),
        ("[pages]", "pages: is not known here"),
        ("[aliases]\na = 'nobody'", "aliases.a: leads to 'nobody', which is no model"),
        ("[aliases]\na = 'a'", "aliases.a: leads to 'a', which is no model"),
        ("[aliases]\na = 'm'\nb = 'a'", "aliases.b: leads to 'a', which is no model"),
        ("[aliases]\nm = 'm'", "aliases.m: is the name of a model already"),
        ("[aliases]\na = 1", "aliases.a: must be the name of a model"),
        ("[aliases]\n'a*' = 'm'", 'aliases."a*": is not a name that an alias can have'),
    ],
)
def test_a_mistake_is_named_with_its_file_its_key_and_the_reason(line, path):
    assert refusal_of(MODEL + line).startswith(f"catalog.toml: {path}")


@pytest.mark.parametrize(
    ("old", "new", "path"),
    [
        ('["one/m"]', "[]", "models.m.routes: must be a list that is not empty"),
        ('["one/m"]', '["two/m"]', "models.m.routes: 'two/m' leads to an unknown"),
        ('["one/m"]', '["one"]', "models.m.routes: 'one' is not PROVIDER/"),
        ('["one/m"]', '["one/*"]', "models.m.routes: 'one/*' is a pattern"),
        ('["512x512"]', '["huge"]', "models.m.sizes: must be WIDTHxHEIGHT"),
        ('["512x512"]', '"512x512"', "models.m.sizes: must be a list"),
        ('sizes = ["512x512"]', "", "models.m.sizes: give one of"),
        ('sizes = ["512x512"]', 'ratios = ["1"]', "models.m.ratios: must be WIDTH:"),
        ("sizes", "size_multiple = 64\n#", "models.m.size_max: is missing"),
        (
            "sizes",
            "size_multiple = 64\nsize_max = 100\n#",
            "models.m.size_min: size_min and size_max must be multiples",
        ),
        (
            "sizes",
            "size_multiple = 64\nsize_max = 512\n#",
            "models.m.default_size: 1024x1024 is out of bounds",
        ),
        (
            "sizes",
            "size_multiple = 64\nsize_max = 512\nmax_megapixels = 0.01\n#",
            "models.m.max_megapixels: leaves no room",
        ),
        ("[models.m]", "[models]", "models.routes: must be a table"),
        ("[models.m]", "[[models]]", "models: must be a table"),
        ('"test"', '"test"\nmax_in_flight = 0', "providers.one.max_in_flight: must be"),
        ("sizes", "hedge_after_s = 0\nsizes", "models.m.hedge_after_s: must be"),
        (
            "sizes",
            "hedge_after_s = 9\nsizes",
            "models.m.hedge_after_s: needs a second route",
        ),
        (
            '"test"',
            '"test"\nmax_images_in_flight = 0',
            "providers.one.max_images_in_flight: must be",
        ),
        ('"test"', '"test"\ntimeout_s = 1e9', "providers.one.timeout_s: must be"),
        (
            '"test"',
            '"test"\napi_key = "sk"',
            "providers.one.api_key: is not known here",
        ),
        (
            '"test"',
            '"test"\napi_key_env = "A"\napi_key_file = "b"',
            "providers.one.api_key_file: cannot stand beside api_key_env",
        ),
    ],
)
def test_a_value_that_cannot_be_is_named(old, new, path):
    assert path in refusal_of(MODEL.replace(old, new, 1))


@pytest.mark.parametrize("url", ["ftp://x/", "https://u:p@x/", "https://x/?a=1", "x"])
def test_a_base_url_is_an_address_and_nothing_else(url):
    text = f'[providers.two]\nadapter = "openai"\nbase_url = "{url}"'

    assert "providers.two.base_url: must be" in refusal_of(MODEL + text)


def test_all_wrong_entries_are_named_at_once():
    reason = refusal_of(MODEL + "max_n = 0\n[models.n]\n[providers.two]")

    assert "models.m.max_n" in reason
    assert "models.n.routes" in reason
    assert "providers.two.adapter" in reason


def test_a_file_that_is_not_toml_is_refused_with_its_line():
    assert "line 2" in refusal_of("a = 1\nb = \n")


def test_a_catalog_without_models_is_refused():
    assert refusal_of("") == "catalog.toml: models: must name at least one"


def test_the_packaged_catalog_has_the_models_it_promises():
    catalog = load_catalog(PACKAGED_CATALOG)

    assert catalog.model("gpt-image-1").name == "openai/gpt-image-1"
    assert catalog.model("multiroute-image-latest").name == "openai/gpt-image-1"
    assert catalog.model("test/slow-2").routes[0].provider == "test"
    assert catalog.model("openai/dall-e-3").max_n == 1
    assert [m.name for m in catalog.models.values() if m.embed] == ["test/test"]


def test_a_missing_file_is_one_sentence(tmp_path: Path):
    with pytest.raises(CatalogError, match="there is no catalog file"):
        load_catalog(tmp_path / "none.toml")


def test_a_folder_in_its_place_is_one_sentence(tmp_path: Path):
    with pytest.raises(CatalogError, match="cannot read"):
        load_catalog(tmp_path)


def test_a_file_in_another_encoding_is_one_sentence(tmp_path: Path):
    file = tmp_path / "catalog.toml"
    file.write_bytes("# größe".encode("latin-1"))

    with pytest.raises(CatalogError, match="is not UTF-8 at byte 4"):
        load_catalog(file)
