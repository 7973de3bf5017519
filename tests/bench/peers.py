"""`.venv-bench`: the peers, exactly as pinned, in an environment of their own."""

import os
import subprocess
import sys
from functools import cache
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).parents[2]
OURS = Path(sys.executable)

_PINS = Path(__file__).parent / "requirements.txt"
_HOME = ROOT / ".venv-bench"
_STAMP = _HOME / "installed"
_TOLD = ("aiohttp", "arq", "redis", "hiredis", "orjson", "uvloop")


@cache
def theirs() -> Path:
    """Return the peers' Python; the first call after a change of pins installs."""
    python, pins = _HOME / "bin" / "python", _PINS.read_text()
    if not _STAMP.exists() or _STAMP.read_text() != pins:
        print("Installing the peers into .venv-bench ...", file=sys.stderr)
        _run(OURS, "-m", "venv", "--clear", _HOME)
        _run(python, "-m", "pip", "install", "--quiet", "--requirement", _PINS)
        # Bytecode that is made anew in every process would count against them.
        _run(python, "-m", "compileall", "-q", _HOME / "lib")
        _STAMP.write_text(pins)
    return python


def versions() -> dict[str, list[str]]:
    """Return what is installed on either side, as pins."""
    lines = [line.partition("#")[0].strip() for line in _PINS.read_text().splitlines()]
    return {
        "ours": [f"{name} {version(name)}" for name in _TOLD],
        "peers": [line.replace("==", " ") for line in lines if line],
    }


def _run(*words: Path | str) -> None:
    env = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    subprocess.run(words, check=True, env=env)
