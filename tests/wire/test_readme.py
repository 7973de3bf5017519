"""The README's tour, pasted into a shell: every block of it, in order, as it stands."""

import io
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from tests.fakes.ports import free_port
from tests.fakes.snippets import blocks

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
TOUR = README.split("## A five-minute tour")[1].split("\n## ")[0]
BIN = Path(sys.executable).parent


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder where a newcomer stands, with a short file of prompts."""
    prompts = tmp_path / "tests" / "data" / "partiprompts.tsv"
    prompts.parent.mkdir(parents=True)
    lines = (ROOT / "tests" / "data" / "partiprompts.tsv").read_text().splitlines()
    prompts.write_text("\n".join(lines[:6]) + "\n")
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    return tmp_path


@pytest.fixture
def url(checkout: Path) -> Iterator[str]:
    """Where `darkroom up`, run in that folder, answers."""
    up = subprocess.Popen(
        [BIN / "darkroom", "up", "--port", "0", "--json"],
        cwd=checkout,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert up.stdout is not None
    yield json.loads(up.stdout.readline())["url"]
    up.terminate()
    up.communicate()
    assert up.returncode == 0


def pasted(url: str) -> str:
    """Everything the tour says to type, as one script that stops at an error."""
    script = ["set -eo pipefail"]
    for language, block in re.findall(r"```(\w+)\n(.*?)```", TOUR, re.DOTALL):
        script.append(f"python3 <<'END'\n{block}END" if language == "python" else block)
    tour = "\n".join(script).replace("http://127.0.0.1:8080", url)
    return re.sub(r"\b3000\b", str(free_port()), tour)


def test_nothing_to_paste_stands_outside_the_tour():
    programs = [b.code for b in blocks("README.md") if b.is_program]

    assert [code for code in programs if code not in TOUR] == []


def size_of(path: Path) -> tuple[int, int]:
    with Image.open(io.BytesIO(path.read_bytes())) as image:
        image.load()
        return image.size


@pytest.mark.skipif(
    shutil.which("curl") is None and "CI" not in os.environ, reason="needs curl"
)
def test_the_tour_works_when_pasted(checkout: Path, url: str):
    shell = subprocess.run(
        ["bash", "-c", pasted(url)],
        cwd=checkout,
        env=os.environ | {"PATH": f"{BIN}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert shell.returncode == 0, shell.stderr
    assert size_of(checkout / "lighthouse.png") == (768, 512)
    same = (checkout / "lighthouse-again.png").read_bytes()
    assert (checkout / "lighthouse.png").read_bytes() == same
    assert f"{url}/images/" in (checkout / "edit.json").read_text()
    assert shell.stdout.count("event: image_generation.partial_image") == 2
    assert shell.stdout.count("event: image_generation.completed") == 1
    assert size_of(checkout / "embedded.png") == (1024, 1024)
    assert shell.stdout.count(f"{url}/images/") >= 4
    assert '"status": "canceled"' in shell.stdout
    manifest = (checkout / "images" / "manifest.jsonl").read_text()
    assert len(manifest.splitlines()) == 5
    assert "job.succeeded job_" in (checkout / "heard.txt").read_text()
