"""What a short run says about the figures on record."""

from collections.abc import Iterator, Sequence

from tests.bench.figures import Goal, Result, shown
from tests.bench.record import Record

_FELL = 0.8
"""Of what is on record; whatever is above is noise of a short run."""


def report(record: Record, results: Sequence[Result]) -> Iterator[str]:
    """Yield a line for every goal, and then what fell by more than a fifth."""
    before = {measured.result.row.name: measured.result for measured in record.rows}
    fell = []
    for result in results:
        old = before.get(result.row.name)
        if result.skipped or old is None or old.skipped:
            yield f"{result.row.name}: nothing to compare"
            continue
        for goal in result.row.goals:
            line = _line(result, old, goal)
            yield line
            if result.score(goal) < _FELL * old.score(goal):
                fell.append(line)
    yield ""
    yield "Fell by more than a fifth:" if fell else "Nothing fell by more than a fifth."
    yield from fell


def _line(result: Result, old: Result, goal: Goal) -> str:
    now, was = (f"{shown(r.ratio(goal))}{goal.unit}" for r in (result, old))
    return f"{result.row.name}: {now} {result.row.subject(goal)}, on record {was}"
