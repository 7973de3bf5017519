"""Packages from npm, exactly those of the lock file, installed once for each."""

import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.conformance.tools import tool

SUITES = Path(__file__).parent / "node"
_LOCK = "package-lock.json"
_OPTIONS = ("--ignore-scripts", "--no-audit", "--no-fund", "--loglevel", "error")


def installed(cache: Path) -> Path:
    """Return a folder below `cache` that has the packages in it."""
    lock = (SUITES / _LOCK).read_bytes()
    home = cache / hashlib.sha256(lock).hexdigest()[:16]
    # npm writes this one when all others are in place.
    if not (home / "node_modules" / f".{_LOCK}").exists():
        home.mkdir(exist_ok=True)
        for name in ("package.json", _LOCK):
            shutil.copy(SUITES / name, home)
        ran = subprocess.run(
            [tool("npm"), "ci", *_OPTIONS],
            cwd=home,
            capture_output=True,
            text=True,
            check=False,
        )
        if ran.returncode != 0:
            assert "CI" not in os.environ, ran.stderr
            pytest.skip(f"npm cannot install what {_LOCK} names: {ran.stderr}")
    return home


def told_by(suite: str, home: Path, environ: Mapping[str, str]) -> dict[str, str]:
    """Run a suite in `home`; return what went wrong by name, "" where nothing did."""
    shutil.copy(SUITES / suite, home)
    ran = subprocess.run(
        [tool("node"), "--test-reporter=tap", suite],
        cwd=home,
        env={"PATH": os.environ["PATH"], **environ},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    told = {}
    for line in re.split(r"^(?=ok |not ok )", ran.stdout, flags=re.MULTILINE)[1:]:
        verdict, _, rest = line.partition(" - ")
        name, _, trouble = rest.partition("\n  ...\n")[0].partition("\n")
        told[name] = "" if verdict.startswith("ok") else trouble
    assert told, ran.stderr
    return told
