"""What the pages have their readers paste works: all of them, on one `darkroom up`.

The README's tour, the batches and the Python client are run by tests of their own,
which look closer at what comes out.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conformance import npm
from tests.conformance.tools import tool
from tests.fakes.installation import Installation
from tests.fakes.ports import free_port
from tests.fakes.snippets import ROOT, Block, blocks, pages, script

BIN = Path(sys.executable).parent
ELSEWHERE = {
    "README.md": "tests/wire/test_readme.py",
    "docs/batches.md": "tests/wire/test_batches_docs.py",
    "docs/client.md": "tests/wire/test_client_docs.py",
}
PROGRAMS = [block for page in pages() for block in blocks(page) if block.is_program]
RUN = sorted({b.page for b in PROGRAMS if not b.reason and b.page not in ELSEWHERE})
WITHOUT_EXCUSE = ("README.md", "docs/quickstart.md")


@pytest.fixture(scope="module")
def packages(pytestconfig: pytest.Config) -> Path:
    """A folder in which Node finds OpenAI's SDK."""
    tool("node")
    return npm.installed(pytestconfig.cache.mkdir("node")) / "node_modules"


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """A checkout in which a newcomer has started everything."""
    checkout = tmp_path_factory.mktemp("checkout")
    shutil.copytree(ROOT / "examples", checkout / "examples")
    installation = Installation(checkout, DARKROOM_WORKER__IMAGING_PROCESSES="1")
    installation.up()
    yield installation
    installation.close()


@pytest.mark.parametrize("page", RUN)
def test_every_block_works_when_pasted(
    page: str, here: Installation, packages: Path, tmp_path: Path
):
    for name in ("curl", "bash", "jq"):
        tool(name)
    for name in (".darkroom", "examples"):
        (tmp_path / name).symlink_to(here.cwd / name)
    (tmp_path / "node_modules").symlink_to(packages)
    url = here.said["url"]
    pasted = script(page).replace("http://127.0.0.1:8080", url)
    for port in ("3000", "3001"):
        pasted = re.sub(rf"\b{port}\b", str(free_port()), pasted)

    ran = subprocess.run(
        ["bash", "-c", pasted],
        cwd=tmp_path,
        env={
            "PATH": f"{BIN}:{os.environ['PATH']}",
            "HOME": str(tmp_path),
            "PYTHONPATH": str(ROOT),
            "DARKROOM_URL": url,
            "DARKROOM_API_KEY": here.said["key"],
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert ran.returncode == 0, ran.stdout[-2000:] + ran.stderr[-4000:]


def test_the_other_pages_have_tests_of_their_own():
    named = {page: (ROOT / test).read_text() for page, test in ELSEWHERE.items()}

    assert [p for p, test in named.items() if Path(p).name not in test] == []


def test_every_example_is_run_by_its_page():
    page = script("examples/README.md")

    programs = {path.name for path in (ROOT / "examples").glob("*.*[!d]")}
    assert {name for name in programs if f"examples/{name} " not in page} == {
        "receiver.py"  # by the quickstart
    }


def test_what_is_not_run_says_why(record_property: Callable[[str, object], None]):
    excused = [block for block in PROGRAMS if block.reason]
    run = len(PROGRAMS) - len(excused)

    record_property("said", f"{run} blocks of the pages are run. These are not:")
    for block in excused:
        record_property("said", f"  {where(block)}: {block.reason}")

    assert [where(b) for b in excused if b.page in WITHOUT_EXCUSE] == []


def where(block: Block) -> str:
    return f"{block.page}:{block.line}"
