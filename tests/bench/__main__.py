"""`python -m tests.bench [ROW...] [--reps N] [--quick] [--write]`."""

import argparse
import os
import platform
import sys
from collections.abc import Iterator
from datetime import UTC, datetime

from tests.bench import peers
from tests.bench.figures import Effort, Result, measure
from tests.bench.rows import ROWS
from tests.bench.stand import Failed, valkey_version

_PAGE = peers.ROOT / "docs" / "benchmarks.md"
_QUICK = Effort(repetitions=1, scale=0.2)


def main() -> None:
    """Measure, print, and write the page when asked to."""
    asked = _arguments()
    effort = _QUICK if asked.quick else Effort(repetitions=asked.reps)
    rows = [ROWS[name] for name in asked.rows or ROWS]
    try:
        results = [measure(row, effort, tell=_tell) for row in rows]
    except Failed as exc:
        raise SystemExit(f"a contender gave up: {exc}") from None
    page = "\n".join(_lines(results, effort)) + "\n"
    print(page)
    if asked.write:
        _PAGE.write_text(page)


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("rows", nargs="*", metavar="ROW", help=", ".join(ROWS))
    parser.add_argument("--reps", type=int, default=5, help="turns of each contender")
    parser.add_argument("--quick", action="store_true", help="once, a fifth as long")
    parser.add_argument("--write", action="store_true", help=f"write {_PAGE.name}")
    asked = parser.parse_args()
    if unknown := set(asked.rows) - set(ROWS):
        parser.error(f"no such row: {', '.join(unknown)} (there are {', '.join(ROWS)})")
    if asked.write and (asked.quick or asked.rows or asked.reps < 5):
        parser.error("--write is for all rows, in full and at least five times")
    return asked


def _lines(results: list[Result], effort: Effort) -> Iterator[str]:
    now = datetime.now(UTC)
    yield "# Benchmarks\n"
    yield (
        "Written by `make bench ROW=--write`. Ratios of contenders that took turns on "
        "one machine, on the same Valkey settings (AOF everysec, a fresh server each "
        f"time); medians of {effort.repetitions} repetitions. The machine is shared: "
        "the figures move from run to run, their ratios much less.\n"
    )
    yield f"* {now:%Y-%m-%d %H:%M} UTC, {os.cpu_count()} cores, {platform.system()}"
    yield f"* Python {platform.python_version()}, Valkey {valkey_version()}"
    for side, pins in peers.versions().items():
        yield f"* {side}: {', '.join(pins)}"
    for result in results:
        yield ""
        yield from result.lines()


if __name__ == "__main__":
    main()
