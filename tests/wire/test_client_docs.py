"""Every block of docs/client.md runs as it stands, in order, against a front door."""

import asyncio
import re
import subprocess
import sys
from pathlib import Path

from tests.fakes.door import SECRET, FrontDoor
from tests.fakes.worker import FakeWorker

ROOT = Path(__file__).parents[2]
BLOCKS = re.findall(
    r"```python\n(.*?)```", (ROOT / "docs" / "client.md").read_text(), re.DOTALL
)


async def test_the_document_s_blocks_run(
    door: FrontDoor, worker: FakeWorker, tmp_path: Path
):
    script = "\n".join(["import asyncio", *BLOCKS, "asyncio.run(main())"])

    ran = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-W", "error", "-c", script],
        cwd=tmp_path,
        env={
            "PYTHONPATH": str(ROOT),
            "DARKROOM_URL": door.url,
            "DARKROOM_API_KEY": SECRET,
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert ran.returncode == 0, ran.stderr
    assert (tmp_path / "lighthouse.png").read_bytes().startswith(b"\x89PNG")
    assert "job.succeeded 1.0" in ran.stdout
    assert ran.stdout.count("page-") == 5
