"""`.venv-bench`: the peers, exactly as pinned, in environments of their own."""

import os
import subprocess
import sys
from functools import cache
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).parents[2]
OURS = Path(sys.executable)

_HERE = Path(__file__).parent
_TOLD = ("aiohttp", "arq", "redis", "hiredis", "orjson", "uvloop")


@cache
def theirs(whose: str = "") -> Path:
    """Return the peers' Python; the first call after a change of pins installs.

    Args:
        whose: The one peer whose pins suit no other's, such as `litellm`.
    """
    suffix = f"-{whose}" if whose else ""
    listed, home = _HERE / f"requirements{suffix}.txt", ROOT / f".venv-bench{suffix}"
    python, stamp, pins = (
        home / "bin" / "python",
        home / "installed",
        listed.read_text(),
    )
    if not stamp.exists() or stamp.read_text() != pins:
        print(f"Installing peers into {home.name} ...", file=sys.stderr)
        _run(OURS, "-m", "venv", "--clear", home)
        _run(python, "-m", "pip", "install", "--quiet", "--requirement", listed)
        # Bytecode that is made anew in every process would count against them.
        _run(python, "-m", "compileall", "-q", home / "lib")
        stamp.write_text(pins)
    return python


def versions() -> dict[str, list[str]]:
    """Return what is installed on either side, as pins."""
    texts = [listed.read_text() for listed in sorted(_HERE.glob("requirements*.txt"))]
    lines = [x.partition("#")[0].strip() for text in texts for x in text.splitlines()]
    return {
        "ours": [f"{name} {version(name)}" for name in _TOLD],
        "peers": list(dict.fromkeys(x.replace("==", " ") for x in lines if x)),
    }


def _run(*words: Path | str) -> None:
    env = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    subprocess.run(words, check=True, env=env)
