"""Lines of a batch that are alike: what is looked at once, and what in each of them."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from service.accounts import ApiKey, Scope
from service.api.batch_lines import JOBS, BatchLines
from service.catalog_file import LiveCatalog
from service.intake.faults import Faults
from service.settings import Limits

CATALOG = """
[providers.p]
adapter = "test"

[models.m]
routes = ["p/m"]
features = ["generate", "edit"]
sizes = ["64x64"]
max_n = {most}
"""
KEY = ApiKey(
    id="key_1",
    account="ada",
    scopes=frozenset(Scope),
    created_at=datetime(2026, 11, 1, tzinfo=UTC),
)
SOUND = {"model": "m", "prompt": "a fox", "n": 2}


def write(path: Path, *, most: int) -> Path:
    path.write_text(CATALOG.format(most=most))
    return path


@pytest.fixture
def live(tmp_path: Path) -> LiveCatalog:
    return LiveCatalog(write(tmp_path / "catalog.toml", most=4))


@pytest.fixture
async def faults(live: LiveCatalog) -> Faults:
    """Of a batch of which one line was found sound."""
    reader = BatchLines(Limits(), default_model=None)
    faults = Faults(reader=reader, live=live, endpoint=JOBS, key=KEY)
    assert await faults.of(SOUND) is None
    return faults


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"prompt": "a\x1bfox"}, "invalid_text"),
        ({"prompt": " \n"}, "empty_prompt"),
        ({"prompt": ""}, "empty_prompt"),
        ({"prompt": None}, "missing_field"),
        ({"prompt": 5}, "wrong_type"),
        ({"prompt": "x" * 32_001}, "prompt_too_long"),
        ({"n": 5}, "n_too_large"),
        ({"n": "2"}, "invalid_n"),
        ({"n": 2.0}, "invalid_n"),
        ({"model": "other"}, "unknown_model"),
        ({"images": ["https://[", 5]}, "wrong_type"),
        ({"more": 1}, "unknown_field"),
    ],
)
async def test_a_line_like_a_sound_one_is_refused_for_what_is_its_own(
    faults: Faults, fields: dict, code: str
):
    fault = await faults.of({**SOUND, **fields})

    assert fault is not None
    assert fault.code == code


async def test_lines_that_differ_in_their_prompts_are_alike(faults: Faults):
    assert await faults.of({**SOUND, "prompt": "two foxes"}) is None
    assert await faults.of({"prompt": "three", "n": 2, "model": "m"}) is None


async def test_a_new_catalog_looks_at_all_lines_anew(
    faults: Faults, live: LiveCatalog, tmp_path: Path
):
    write(tmp_path / "catalog.toml", most=1)
    live.reload()

    fault = await faults.of(SOUND)

    assert fault is not None
    assert fault.code == "n_too_large"
