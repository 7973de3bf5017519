"""OpenAI's SDK for Node, unmodified: each test of its JavaScript is one here."""

import re
from pathlib import Path

import pytest

from tests.conformance import npm
from tests.conformance.house import SECRET, House

_SUITES = ("images.test.mjs", "files.test.mjs", "batches.test.mjs")
_NAMES = {
    suite: re.findall(r'^test\("(.+)"', (npm.SUITES / suite).read_text(), re.MULTILINE)
    for suite in _SUITES
}


@pytest.fixture(scope="module")
def told(house: House, node_home: Path) -> dict[str, dict[str, str]]:
    environ = {
        "BASE_URL": f"{house.url}/v1",
        "KEY": SECRET,
        "FORBIDDEN_KEY": house.knows("node", scopes=frozenset({"embed"})),
        "POOR_KEY": house.knows("node", quota_units=0),
        "PICTURE": str(house.here / "image.webp"),
        "MASK": str(house.here / "mask.webp"),
    }
    return {suite: npm.told_by(suite, node_home, environ) for suite in _SUITES}


@pytest.mark.parametrize(
    ("suite", "name"), [(suite, name) for suite in _SUITES for name in _NAMES[suite]]
)
def test_node_finds_that(told: dict[str, dict[str, str]], suite: str, name: str):
    if told[suite][name]:
        pytest.fail(told[suite][name], pytrace=False)
