"""Other versions of the program, to be run beside this one."""

import io
import re
import shutil
import subprocess
import tarfile
from pathlib import Path

from service.job_store.records import VERSION
from tests.chaos.stage import ROOT

_PARTS = ("service", "workers", "infra")
_RECORDS = Path("service/job_store/records.py")


def later(folder: Path) -> Path:
    """Make a copy of the program whose records are of a version later than ours."""
    for part in _PARTS:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / part, folder / part, ignore=ignored)
    records = folder / _RECORDS
    text, found = re.subn(
        rf"(?m)^VERSION = {VERSION}$",
        f"VERSION = {VERSION + 1}",
        records.read_text(encoding="utf-8"),
    )
    assert found == 1
    records.write_text(text, encoding="utf-8")
    return folder


def earlier(folder: Path, commit: str) -> Path:
    """Take the program as it was at a commit.

    Raises:
        CalledProcessError: There is no such commit.
    """
    command = ["git", "-C", str(ROOT), "archive", commit, *_PARTS]
    packed = subprocess.run(command, check=True, capture_output=True).stdout
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        archive.extractall(folder, filter="data")
    return folder


def latest_release() -> str | None:
    """Return the newest tag before this commit; None where there is none."""
    command = ["git", "-C", str(ROOT), "describe", "--tags", "--abbrev=0", "HEAD^"]
    said = subprocess.run(command, check=False, capture_output=True, text=True)
    return said.stdout.strip() or None
