"""One house for all pages; what a test needs for itself, it makes under its own key."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conformance import npm
from tests.conformance.house import House, moved_in
from tests.conformance.tools import tool


@pytest.fixture(scope="session")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with moved_in(tmp_path_factory.mktemp("house")) as house:
        yield house


@pytest.fixture(scope="session")
def node_home(pytestconfig: pytest.Config) -> Path:
    """A folder in which Node finds OpenAI's SDK and the TypeScript compiler."""
    tool("node")
    return npm.installed(pytestconfig.cache.mkdir("node"))
