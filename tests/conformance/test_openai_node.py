"""OpenAI's SDK for Node, unmodified: each test of its JavaScript is one here."""

import re
from pathlib import Path

import pytest

from tests.conformance import npm
from tests.conformance.house import SECRET, House

_SUITE = "images.test.mjs"
_NAMES = re.findall(r'^test\("(.+)"', (npm.SUITES / _SUITE).read_text(), re.MULTILINE)


@pytest.fixture(scope="module")
def told(house: House, node_home: Path) -> dict[str, str]:
    return npm.told_by(
        _SUITE,
        node_home,
        {
            "BASE_URL": f"{house.url}/v1",
            "KEY": SECRET,
            "FORBIDDEN_KEY": house.knows("node", scopes=frozenset({"embed"})),
            "POOR_KEY": house.knows("node", quota_units=0),
            "PICTURE": str(house.here / "image.webp"),
            "MASK": str(house.here / "mask.webp"),
        },
    )


@pytest.mark.parametrize("name", _NAMES)
def test_node_finds_that(told: dict[str, str], name: str):
    if told[name]:
        pytest.fail(told[name], pytrace=False)
