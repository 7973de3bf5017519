"""The table of providers, the contract of each, and where their keys come from."""

import inspect
import pkgutil

import pytest

import workers.providers
from service import settings
from service.core.catalog import ADAPTERS, ProviderEntry, parse_catalog
from service.core.provider import Provider
from service.outbound import Outbound
from service.provider_keys import KeyMissing, api_key
from workers.providers import adapter, open_providers

CATALOG = """
[providers.free]
adapter = "test"
[providers.paid]
adapter = "openai"
base_url = "https://paid.example/v1"
api_key_env = "PAID_KEY"
[models.m]
routes = ["paid/m", "free/m"]
sizes = ["64x64"]
"""


@pytest.fixture
def catalog():
    return parse_catalog(CATALOG, file="catalog.toml")


def test_every_module_is_an_adapter_that_the_front_door_knows():
    modules = {
        module.name for module in pkgutil.iter_modules(workers.providers.__path__)
    }

    assert {name for name in modules if not name.startswith("_")} == set(ADAPTERS)


@pytest.mark.parametrize("name", ADAPTERS)
def test_a_provider_has_the_signature_of_the_protocol(name):
    theirs = inspect.signature(adapter(name).generate)

    assert theirs == inspect.signature(Provider.generate)


@pytest.mark.parametrize("environ", [{}, {"PAID_KEY": ""}, {"PAID_KEY": " \n"}])
def test_a_provider_without_its_key_is_left_out(catalog, environ):
    opened = open_providers(catalog, Outbound(settings.Outbound()), environ)

    assert list(opened) == ["free"]


def test_a_provider_with_its_key_is_opened(catalog):
    outbound = Outbound(settings.Outbound())

    opened = open_providers(catalog, outbound, {"PAID_KEY": "sk-1"})

    assert {name: each.adapter for name, each in opened.items()} == {
        "free": "test",
        "paid": "openai",
    }


def test_a_key_may_lie_in_a_file(tmp_path):
    file = tmp_path / "key"
    file.write_text("sk-1\n")
    entry = ProviderEntry(name="p", adapter="openai", api_key_file=str(file))

    assert api_key(entry, {}) == "sk-1"


def test_a_key_file_that_cannot_be_read_is_a_missing_key(tmp_path):
    entry = ProviderEntry(name="p", adapter="openai", api_key_file=str(tmp_path))

    with pytest.raises(KeyMissing, match="no key in"):
        api_key(entry, {})
