"""`python -m tests.bench [ROW...]`: measures, and prints what it came to."""

import argparse
import sys
from collections.abc import Sequence

from tests.bench import check, page, peers, picture
from tests.bench.figures import Effort, Result, measure
from tests.bench.record import Record, put
from tests.bench.rows import ROWS
from tests.bench.stand import Failed

_DOCS = peers.ROOT / "docs"
_PAGE, _RECORD = _DOCS / "benchmarks.md", _DOCS / "benchmarks.json"
_PICTURE = _DOCS / "images" / "benchmarks.svg"
_QUICK = Effort(repetitions=1, scale=0.2)
_CHECK = Effort(repetitions=3, scale=0.3)
_LEAST_TURNS = 5


def main() -> None:
    """Do what the command line says."""
    asked = _arguments()
    names = asked.rows or list(ROWS)
    if asked.page:
        _write(Record.read(_RECORD, ROWS.values()))
    elif asked.check:
        _check(names)
    else:
        effort = _QUICK if asked.quick else Effort(repetitions=asked.reps)
        _measure(names, effort, keep=asked.write)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("rows", nargs="*", metavar="ROW", help=", ".join(ROWS))
    parser.add_argument("--reps", type=int, default=5, help="turns of each contender")
    parser.add_argument("--quick", action="store_true", help="once, a fifth as long")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--write", action="store_true", help=f"write {_PAGE.name}, too")
    what.add_argument(
        "--check", action="store_true", help="a short run, beside what is on record"
    )
    what.add_argument(
        "--page", action="store_true", help="write it anew from what is on record"
    )
    asked = parser.parse_args()
    if unknown := set(asked.rows) - set(ROWS):
        parser.error(f"no such row: {', '.join(unknown)} (there are {', '.join(ROWS)})")
    if asked.write and (asked.quick or asked.reps < _LEAST_TURNS):
        parser.error("--write is for rows in full and at least five times")
    return asked


def _measure(names: Sequence[str], effort: Effort, *, keep: bool) -> None:
    """Measure rows one after the other; one that fails does not stop the others."""
    record = Record.read(_RECORD, ROWS.values()) if keep else Record()
    failed = []
    for name in names:
        try:
            result = measure(ROWS[name], effort, tell=_tell)
        except Failed as exc:
            failed.append(name)
            _tell(f"{name}: a contender gave up: {exc}")
            continue
        record = record.with_row(result, list(ROWS))
        if keep:
            _write(record)
    print("\n".join(page.lines(record, picture=None)))
    if failed:
        raise SystemExit(f"not measured: {', '.join(failed)}")


def _check(names: Sequence[str]) -> None:
    results: list[Result] = []
    try:
        results.extend(measure(ROWS[name], _CHECK, tell=_tell) for name in names)
    except Failed as exc:
        raise SystemExit(f"a contender gave up: {exc}") from None
    record = Record.read(_RECORD, ROWS.values())
    print("\n".join(check.report(record, results)))


def _write(record: Record) -> None:
    record.write(_RECORD)
    put(_PICTURE, picture.draw(record))
    name = str(_PICTURE.relative_to(_DOCS))
    put(_PAGE, "\n".join(page.lines(record, picture=name)) + "\n")


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
