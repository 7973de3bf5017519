"""Every block of docs/batches.md runs as it stands, against a front door."""

import asyncio
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conformance.tools import tool
from tests.fakes.door import SECRET, FrontDoor
from tests.fakes.worker import FakeWorker

ROOT = Path(__file__).parents[2]
BLOCKS = re.findall(
    r"```(\w+)\n(.*?)```", (ROOT / "docs" / "batches.md").read_text(), re.DOTALL
)
PROGRAMS = {
    "python": (sys.executable, "-W", "error", "-c"),
    "bash": ("bash", "-euc"),
    "js": ("node", "--input-type=module", "-e"),
}


@pytest.mark.parametrize(("language", "block"), BLOCKS, ids=[b[0] for b in BLOCKS])
async def test_the_document_s_blocks_run(
    language: str, block: str, door: FrontDoor, worker: FakeWorker, tmp_path: Path
):
    tool("curl")
    program, *options = PROGRAMS[language]

    ran = await asyncio.to_thread(
        subprocess.run,
        [tool(program), *options, block],
        cwd=tmp_path,
        env={
            "PATH": os.environ["PATH"],
            "DARKROOM_URL": door.url,
            "DARKROOM_API_KEY": SECRET,
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.count("/images/jobs/") == len(worker.seen) > 1
