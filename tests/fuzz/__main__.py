"""`make fuzz`: schemathesis against a real front door, as long as you have patience."""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import httpx

from tests.fuzz.narrowed import narrowed, walkable
from tests.fuzz.stand import ROOT, SECRET, Stand, stand

CONFIG = Path(__file__).with_name("schemathesis.toml")
SINGLE, CHAINS = "examples,coverage,fuzzing", "stateful"


def run(here: Stand, *, examples: int, walks: int, seed: int, more: list[str]) -> int:
    """Send `examples` requests to each route, and what coverage asks for.

    Then walk from answer to answer along the document's links, `walks` times.
    """
    document = httpx.get(f"{here.base_url}/openapi.json").json()
    told = narrowed(document, here)
    options = ["--seed", str(seed), *more]
    alone = ["--phases", SINGLE, "--max-examples", str(examples), *options]
    chained = ["--phases", CHAINS, "--max-examples", str(walks), *options]
    return _send(here, told, alone) or _send(here, walkable(told), chained)


def _send(here: Stand, document: dict[str, Any], options: list[str]) -> int:
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(document, file)
        file.flush()
        command = [
            *(Path(sys.executable).with_name("schemathesis"), "--config-file", CONFIG),
            *("run", file.name, "--url", here.base_url),
            *("--header", f"Authorization: Bearer {SECRET}"),
            *options,
        ]
        return subprocess.run(command, cwd=ROOT, check=False).returncode


def main() -> int:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(prog="make fuzz")
    parser.add_argument("--examples", type=int, default=200, help="per route and mode")
    parser.add_argument("--walks", type=int, default=500, help="along the links")
    parser.add_argument("--seed", type=int, default=1)
    known, more = parser.parse_known_args()
    with stand(jobs=20) as here:
        return run(
            here,
            examples=known.examples,
            walks=known.walks,
            seed=known.seed,
            more=more,
        )


if __name__ == "__main__":
    sys.exit(main())
