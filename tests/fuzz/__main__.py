"""`make fuzz`: schemathesis against a real front door, as long as you have patience."""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import httpx

from tests.fuzz.narrowed import narrowed
from tests.fuzz.stand import ROOT, SECRET, Stand, stand

CONFIG = Path(__file__).with_name("schemathesis.toml")
PHASES = "examples,coverage,fuzzing,stateful"


def run(here: Stand, *, examples: int, seed: int, more: list[str]) -> int:
    """Send `examples` requests to each route, and what coverage asks for."""
    document = httpx.get(f"{here.base_url}/openapi.json").json()
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(narrowed(document, here), file)
        file.flush()
        command = [
            *(Path(sys.executable).with_name("schemathesis"), "--config-file", CONFIG),
            *("run", file.name, "--url", here.base_url, "--phases", PHASES),
            *("--header", f"Authorization: Bearer {SECRET}"),
            *("--max-examples", str(examples), "--seed", str(seed)),
            *more,
        ]
        return subprocess.run(command, cwd=ROOT, check=False).returncode


def main() -> int:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(prog="make fuzz")
    parser.add_argument("--examples", type=int, default=200, help="per route and mode")
    parser.add_argument("--seed", type=int, default=1)
    known, more = parser.parse_known_args()
    with stand(jobs=20) as here:
        return run(here, examples=known.examples, seed=known.seed, more=more)


if __name__ == "__main__":
    sys.exit(main())
