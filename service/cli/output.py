"""What goes where: results to stdout, everything said along the way to stderr."""

import json
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from service.client import Batch, Delivery, Endpoint, Job

_T = TypeVar("_T")


def emit(result: Any) -> None:
    """Print one result as a line of JSON, non-ASCII text as it is."""
    sys.stdout.write(json.dumps(result, ensure_ascii=False) + "\n")
    sys.stdout.flush()


def say(message: str) -> None:
    """Print one message for the person at the terminal, if that is still there."""
    with suppress(OSError):
        print(message, file=sys.stderr, flush=True)


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print rows under their columns, as wide as they are."""
    texts = [[_text(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(columns, *texts, strict=True)]
    for row in (columns, *texts):
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print("  ".join(cells).rstrip())


def newest(found: Sequence[_T], limit: int) -> Sequence[_T]:
    """Return the first `limit` of a listing, and say so where it has more."""
    if len(found) > limit:
        say(f"these are the newest {limit:,}; --limit shows more")
    return found[:limit]


def print_facts(facts: Iterable[tuple[str, object]]) -> None:
    """Print names and values, one pair a line."""
    for name, value in facts:
        print(f"{name + ':':12}{_text(value)}")


def print_status(thing: "Batch | Delivery | Endpoint | Job", *, json: bool) -> None:
    """Print how a thing stands that was only just made or changed."""
    if json:
        emit(thing.raw)
    else:
        print(f"{thing.id} is {thing.status}")


def print_row(*cells: object) -> None:
    """Print what belongs together on one line, at once."""
    print("  ".join(_text(cell) for cell in cells if cell), flush=True)


def when(at: datetime | None) -> str | None:
    """Return a time as the clock on the wall here shows it."""
    return None if at is None else f"{at.astimezone():%Y-%m-%d %H:%M:%S}"


def _text(cell: object) -> str:
    # A prompt may hold line ends and escape sequences; a terminal must not obey them.
    shown = "-" if cell is None else str(cell)
    return "".join(c if c.isprintable() else " " for c in shown)
