"""The picture of the page: how far we are from each goal, as one SVG.

A bar ends where we are, on a scale of halves and doubles; the line down the middle is
what is to be reached, and the tick is what is aimed for. Better is always further
right, whether more is better or less.
"""

import math
from collections.abc import Iterator
from html import escape

from tests.bench.figures import Goal, Result, shown
from tests.bench.record import Record

_WIDTH, _LINE, _HEAD, _FOOT = 960, 24, 40, 14
_LEFT, _RIGHT = 400, 760
_MOST = 8.0
"""Times what is to be reached, at the right edge; a part of it at the left one."""
_STYLE = """
  text { font: 12px system-ui, sans-serif; fill: #1f2328; }
  .small { font-size: 11px; fill: #59636e; }
  .met { fill: #1a7f37; } .missed { fill: #bc4c00; }
  .reach { stroke: #1f2328; } .aim { stroke: #0969da; stroke-width: 3; }
  .grid { stroke: #d1d9e0; }
  @media (prefers-color-scheme: dark) {
    text { fill: #f0f6fc; } .small { fill: #9198a1; }
    .met { fill: #3fb950; } .missed { fill: #db6d28; }
    .reach { stroke: #f0f6fc; } .aim { stroke: #4493f8; }
    .grid { stroke: #3d444d; }
  }
"""


def draw(record: Record) -> str:
    """Return the picture of all rows that have goals."""
    results = [measured.result for measured in record.rows if measured.result.samples]
    goals = [(result, goal) for result in results for goal in result.row.goals]
    height = _HEAD + _LINE * len(goals) + _FOOT
    parts = [*_scale(height), *_bars(goals)]
    size = f'viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}"'
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">',
            "<title>What we come to, beside what is to be reached</title>",
            f"<style>{_STYLE}</style>",
            *parts,
            "</svg>\n",
        ]
    )


def _scale(height: int) -> Iterator[str]:
    """Yield the lines that all bars share, each with what it stands for."""
    bottom = height - _FOOT
    for exponent in range(-3, 4):
        x, kind = _x(2.0**exponent), "grid" if exponent else "reach"
        yield f'<path class="{kind}" d="M{x:.0f} {_HEAD - 8}V{bottom}"/>'
        name = _part(exponent) if exponent else "reach"
        yield (
            f'<text class="small" x="{x:.0f}" y="{_HEAD - 14}" '
            f'text-anchor="middle">{name}</text>'
        )
    yield (
        f'<text class="small" x="{_RIGHT + 24}" y="{_HEAD - 14}">'
        "we are (reach, aim: blue)</text>"
    )


def _bars(goals: list[tuple[Result, Goal]]) -> Iterator[str]:
    for number, (result, goal) in enumerate(goals):
        top = _HEAD + _LINE * number
        score, middle = result.score(goal), top + _LINE - 8
        left, right = sorted((_x(score), _x(1)))
        kind = "met" if score >= 1 else "missed"
        yield (
            f'<text x="{_LEFT - 16}" y="{middle}" text-anchor="end">'
            f"{escape(_name(result, goal))}</text>"
        )
        yield (
            f'<rect class="{kind}" x="{left:.1f}" y="{top + 5}" '
            f'width="{max(2, right - left):.1f}" height="{_LINE - 10}"/>'
        )
        if goal.aim is not None:
            x = _x(result.score(goal) / result.score(goal, goal.aim))
            yield f'<path class="aim" d="M{x:.1f} {top + 2}v{_LINE - 4}"/>'
        yield (
            f'<text class="small" x="{_RIGHT + 24}" y="{middle}">'
            f"{_values(result, goal)}</text>"
        )


def _name(result: Result, goal: Goal) -> str:
    return f"{result.row.name}: {result.row.subject(goal)}"


def _values(result: Result, goal: Goal) -> str:
    unit = goal.unit
    aim = "" if goal.aim is None else f", {goal.aim:g}{unit}"
    return f"{shown(result.ratio(goal))}{unit} ({goal.reach:g}{unit}{aim})"


def _part(exponent: int) -> str:
    return f"{2**exponent}x" if exponent > 0 else f"1/{2**-exponent}"


def _x(times: float) -> float:
    """Return where so many times what is to be reached stands."""
    within = min(max(times, 1 / _MOST), _MOST)
    middle, half = (_LEFT + _RIGHT) / 2, (_RIGHT - _LEFT) / 2
    return middle + half * math.log2(within) / math.log2(_MOST)
