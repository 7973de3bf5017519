"""`darkroom up` lets its whole family read the catalog anew, and drops no job."""

import json
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.fakes.installation import Installation

CATALOG = """
[providers.own]
adapter = "test"
[models.hare]
routes = ["own/test"]
sizes = ["64x64"]
[models.snail]
routes = ["own/slow-3"]
sizes = ["64x64"]
"""


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Installation]:
    (tmp_path / "catalog.toml").write_text(CATALOG)
    installation = Installation(tmp_path, DARKROOM_CATALOG_FILE="catalog.toml")
    installation.up()
    yield installation
    installation.close()


def until(is_so: Callable[[], object]) -> None:
    deadline = time.monotonic() + 30
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def reloads(here: Installation, child: str, event: str) -> int:
    log = (here.folder / "logs" / f"{child}.log").read_text().splitlines()
    return sum(json.loads(line)["event"] == event for line in log)


def test_sighup_exchanges_the_catalog_and_a_job_under_way_goes_on(here: Installation):
    file, errors = here.cwd / "catalog.toml", here.cwd / "stderr.txt"

    with here.started("generate", "a snail", "--model", "snail", "--out", "s.png"):
        until(lambda: here.answer("jobs", "list", "--status", "running"))
        file.write_text(CATALOG.replace("snail", "owl").replace("slow-3", "slow-0.1"))
        here.signal(signal.SIGHUP)
        until(
            lambda: all(
                reloads(here, child, "catalog.reloaded")
                for child in ("web", "worker-1")
            )
        )
        owl = here.answer("generate", "an owl", "--model", "owl")
        file.write_text("nonsense")
        here.signal(signal.SIGHUP)
        until(lambda: "the catalog stays as it was" in errors.read_text())
        hare = here.answer("generate", "a hare", "--model", "hare")
        until((here.cwd / "s.png").exists)

    assert owl["status"] == hare["status"] == "succeeded"
    assert here.run("generate", "a snail", "--model", "snail").returncode == 1
    assert here.end() == 0
    assert here.left_over() == set()
