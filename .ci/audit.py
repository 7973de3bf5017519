"""Look every pin up among known vulnerabilities, and say loudly if nobody could.

A mirror of the package index often knows no advisories, and by its answers no package
has any. So a version known for its holes is asked about first: unless they are told
of, no other answer means anything. That fails nothing, since the pins did not.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

PINS = Path(__file__).parents[1] / "constraints.txt"
KNOWN_FOR_ITS_HOLES = "pillow==9.0.0\n"
_UNAUDITED = "WARNING: pins NOT AUDITED"

Ask = Callable[[str], list[dict[str, Any]]]
"""Takes requirements, returns what pip-audit tells of each."""


class NotAnswered(Exception):
    """There is no network, or nobody at its other end."""


def by_pip_audit(requirements: str) -> list[dict[str, Any]]:
    """Ask pip-audit, which asks the package index.

    Raises:
        NotAnswered: It came back without an answer.
    """
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write(requirements)
        file.flush()
        ran = subprocess.run(
            [
                *(Path(sys.executable).with_name("pip-audit"), "--format", "json"),
                *("--no-deps", "--disable-pip", "--progress-spinner", "off"),
                *("--timeout", "10", "--requirement", file.name),
            ],
            capture_output=True,
            text=True,
            check=False,
        )
    if not ran.stdout:
        raise NotAnswered(ran.stderr.strip().rpartition("\n")[-1])
    told: list[dict[str, Any]] = json.loads(ran.stdout)["dependencies"]
    return told


def audit(pins: str, ask: Ask) -> tuple[int, list[str]]:
    """Return the exit code, and what is to be said."""
    try:
        if not _holes(ask(KNOWN_FOR_ITS_HOLES)):
            return 0, [f"{_UNAUDITED}: the package index tells of no advisories"]
        told = ask(pins)
    except NotAnswered as why:
        return 0, [f"{_UNAUDITED}: {why}"]
    holes = _holes(told)
    unknown = ", ".join(each["name"] for each in told if "vulns" not in each)
    doubts = (
        [f"WARNING: NOT AUDITED, since unknown there: {unknown}"] if unknown else []
    )
    return int(bool(holes)), [*holes, *doubts]


def _holes(told: list[dict[str, Any]]) -> list[str]:
    return [
        f"{each['name']}=={each['version']} has {hole['id']}, "
        f"mended in {', '.join(hole['fix_versions']) or 'no version yet'}"
        for each in told
        for hole in each.get("vulns", [])
    ]


if __name__ == "__main__":
    code, lines = audit(PINS.read_text(encoding="utf-8"), by_pip_audit)
    sys.stdout.writelines(f"{line}\n" for line in lines)
    sys.exit(code)
