"""The record beside the page: every sample, so that the page follows from it alone.

A row that is measured anew takes the place of what it came to before; ratios are of
one row, and contenders of a row are always measured together.
"""

import os
import platform
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import orjson

from tests.bench import peers
from tests.bench.figures import Result, Row
from tests.bench.stand import valkey_version

_DIGITS = 5


@dataclass(frozen=True, slots=True)
class Measured:
    """A row, and when it was measured, with how many repetitions."""

    result: Result
    at: str


@dataclass(frozen=True, slots=True)
class Record:
    """All that was measured, in the order of the page.

    Attributes:
        setting: The machine, and what was installed, when a row was last measured.
    """

    setting: tuple[str, ...] = ()
    rows: tuple[Measured, ...] = ()

    @classmethod
    def read(cls, path: Path, known: Iterable[Row]) -> Self:
        """Return what a file holds of these rows; nothing where there is none."""
        if not path.exists():
            return cls()
        stored = orjson.loads(path.read_bytes())
        rows = [_read(row, stored["rows"].get(row.name)) for row in known]
        return cls(tuple(stored["setting"]), tuple(row for row in rows if row))

    def write(self, path: Path) -> None:
        """Take the place of the file at once, or not at all."""
        rows = {
            measured.result.row.name: {
                "at": measured.at,
                "skipped": measured.result.skipped,
                "samples": _rounded(measured.result),
            }
            for measured in self.rows
        }
        stored = {"setting": self.setting, "rows": rows}
        put(path, orjson.dumps(stored, option=orjson.OPT_INDENT_2).decode() + "\n")

    def with_row(self, result: Result, order: Sequence[str]) -> Self:
        """Return one in which a row is measured anew, just now."""
        turns = max(map(len, result.samples.values()), default=0)
        at = f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {turns} repetitions"
        rows = {measured.result.row.name: measured for measured in self.rows}
        rows[result.row.name] = Measured(result, at)
        in_order = tuple(rows[name] for name in order if name in rows)
        return replace(self, setting=tuple(_setting()), rows=in_order)


def put(path: Path, text: str) -> None:
    """Write a file, so that nobody ever sees half of it."""
    path.parent.mkdir(exist_ok=True)
    beside = path.with_suffix(".new")
    beside.write_text(text)
    beside.replace(path)


def _read(row: Row, stored: dict[str, Any] | None) -> Measured | None:
    if stored is None:
        return None
    return Measured(Result(row, stored["samples"], stored["skipped"]), stored["at"])


def _rounded(result: Result) -> dict[str, list[dict[str, float]]]:
    return {
        contender: [
            {figure: float(f"{value:.{_DIGITS}g}") for figure, value in sample.items()}
            for sample in samples
        ]
        for contender, samples in result.samples.items()
    }


def _setting() -> Iterable[str]:
    yield f"{os.cpu_count()} cores, {platform.system()}"
    yield f"Python {platform.python_version()}, Valkey {valkey_version()}"
    for side, pins in peers.versions().items():
        yield f"{side}: {', '.join(pins)}"
