"""One stage for all tests with a browser; each brings an account of its own."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import expect

from tests.browser.stage import Stage, chromium, must_run, own_stage

expect.set_options(timeout=20_000)  # a busy machine breaks no promise


@pytest.fixture(scope="session", autouse=True)
def _browser() -> None:
    """A laptop may do without a browser; CI may not."""
    if chromium() is None:
        assert not must_run(), "CI needs Debian's chromium"
        pytest.skip("chromium is not installed (Debian: apt install chromium)")


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def stage(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    folder: Path = tmp_path_factory.mktemp("stage")
    async with own_stage(folder) as opened:
        yield opened
