"""The pages about providers say what is so, and the example on them works."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from service.core.catalog import ADAPTERS
from tests.fakes.upstreams import FAKES
from tests.fakes.upstreams.easel import PAGE, shown_code

ROOT = Path(__file__).parents[2]
CATALOG = """
[providers.mine]
adapter = "easel"
base_url = "https://easel.example"
[models."easel/oil-2"]
routes = ["mine/oil-2"]
sizes = ["1024x1024"]
"""
OPEN = f"""
from service import settings
from service.core.catalog import parse_catalog
from service.outbound import Outbound
from workers.providers import open_providers
catalog = parse_catalog({CATALOG!r}, file="catalog.toml")
opened = open_providers(catalog, Outbound(settings.Outbound()), {{}})
print(type(opened["mine"]).__name__)
"""


def rows() -> dict[str, list[str]]:
    page = (ROOT / "docs" / "providers.md").read_text()
    table = re.findall(r"^\| `(\w+)` \| (.+) \|$", page, re.MULTILINE)
    return {name: cells.split(" | ") for name, cells in table}


def test_every_adapter_has_its_row_in_order():
    assert [*rows()] == [name for name in ADAPTERS if name != "test"]


@pytest.mark.parametrize("fake", FAKES, ids=lambda fake: fake.adapter)
def test_a_row_says_of_edits_masks_and_tasks_what_the_suite_tests(fake):
    _, edit, mask, *_, resumes, _, _ = rows()[fake.adapter]

    said = (edit, mask, resumes)
    assert said == tuple(
        "yes" if trait else "no" for trait in (fake.edits, fake.masks, fake.tasks)
    )


@pytest.mark.parametrize("name", [name for name in ADAPTERS if name != "test"])
def test_a_row_says_whether_the_adapter_reports_costs(name):
    code = (ROOT / "workers" / "providers" / f"{name}.py").read_text()

    *_, tells_cost, _ = rows()[name]

    assert (tells_cost == "yes") is ("cost_usd=" in code)


def test_the_example_needs_one_file_and_one_line(tmp_path):
    for room in ("service", "workers"):
        shutil.copytree(ROOT / room, tmp_path / room)
    (tmp_path / "workers" / "providers" / "easel.py").write_text(shown_code())
    listed = tmp_path / "service" / "core" / "catalog" / "parse.py"
    [line] = re.findall(r'^    ("\w+",)$', PAGE.read_text(), re.MULTILINE)
    before, after = listed.read_text().split('    "fal",\n')
    listed.write_text(f'{before}    {line}\n    "fal",\n{after}')

    opened = subprocess.run(
        [sys.executable, "-c", OPEN],
        cwd=tmp_path,
        env={"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )

    assert opened.stdout.splitlines()[-1] == "Easel"
