"""The page: what was measured and when, a table for each row, goals, what limits us."""

import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.bench.figures import Goal, Result, shown
from tests.bench.record import Measured, Record

_REMARKS = Path(__file__).parent / "remarks.toml"


def lines(record: Record, *, picture: str | None) -> Iterator[str]:
    """Yield the page as Markdown.

    Args:
        record: What it is about.
        picture: The name of the picture at its top; None: there is none.
    """
    yield "# Benchmarks\n"
    yield (
        "Written by `make bench`. Ratios of contenders that took turns on one machine, "
        "on the same Valkey settings (AOF everysec); medians of all repetitions. The "
        "machine is shared: the figures move from run to run, their ratios much less.\n"
    )
    if picture is not None:
        yield f"![Each row beside what is to be reached]({picture})\n"
    for line in record.setting:
        yield f"* {line}"
    remarks = tomllib.loads(_REMARKS.read_text())
    for measured in record.rows:
        yield ""
        yield from _section(measured, remarks.get(measured.result.row.name, {}))


def _section(measured: Measured, remarks: Mapping[str, str]) -> Iterator[str]:
    result = measured.result
    yield f"## {result.row.title}\n"
    yield f"{result.row.about}\n"
    if result.skipped:
        yield f"Not measured: {result.skipped}."
        return
    yield from _table(result)
    yield ""
    for goal in result.row.goals:
        yield f"* {_verdict(result, goal)}"
    yield f"\nMeasured {measured.at}, `make bench ROW={result.row.name}`."
    for goal in result.row.goals:
        remark = remarks.get(result.row.subject(goal))
        if remark is not None and result.is_aim_missed(goal):
            yield f"\n{remark.strip()}"


def _table(result: Result) -> Iterator[str]:
    main = result.row.figure
    firsts = [samples[0] for samples in result.samples.values()]
    others = list(dict.fromkeys(f for first in firsts for f in first if f != main))
    heads = ["", f"median {main}", "least to most", *others]
    yield f"| {' | '.join(heads)} |"
    yield f"|---|{'---:|' * (len(heads) - 1)}"
    for name in result.samples:
        values = result.values(name)
        span = f"{shown(min(values))} to {shown(max(values))}" if values else ""
        cells = [_cell(result, name, other) for other in others]
        yield f"| {' | '.join([name, _cell(result, name, main), span, *cells])} |"


def _cell(result: Result, contender: str, figure: str) -> str:
    has_it = result.values(contender, figure)
    return shown(result.median(contender, figure)) if has_it else ""


def _verdict(result: Result, goal: Goal) -> str:
    unit = goal.unit
    aim = "" if goal.aim is None else f", aim {goal.aim:g}{unit}"
    met = "reached" if result.is_reached(goal) else "**not reached**"
    came_to = f"{shown(result.ratio(goal))}{unit} {result.row.subject(goal)}"
    return f"{came_to} (reach {goal.reach:g}{unit}{aim}): {met}"
