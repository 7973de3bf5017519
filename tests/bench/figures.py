"""Repetitions, medians, ratios, and how they are written down."""

import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

Sample = Mapping[str, float]
"""What one repetition of one contender came to, by the name of the figure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """How much one measurement costs.

    Attributes:
        repetitions: How often all contenders take their turn.
        scale: Part of the usual jobs and seconds, 1 for figures to be quoted.
    """

    repetitions: int = 5
    scale: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """Our ratio to the best of `rivals`: what to reach, and what to aim for."""

    rivals: tuple[str, ...]
    reach: float
    aim: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One metric and who is measured by it.

    Attributes:
        name: What the command line calls it.
        about: What exactly is done, in sentences.
        figure: The one of a sample's figures that the ratio is of.
        more_is_better: Whether the higher figure wins.
        contenders: Measures each, by its name in the table; ours is the first.
    """

    name: str
    title: str
    about: str
    figure: str
    more_is_better: bool
    contenders: Mapping[str, Callable[[Effort], Sample]]
    goals: tuple[Goal, ...]


@dataclass(frozen=True, slots=True)
class Result:
    """All samples of a row, in the order in which they were taken."""

    row: Row
    samples: Mapping[str, Sequence[Sample]]

    def median(self, contender: str, figure: str | None = None) -> float:
        return statistics.median(self._all(contender, figure))

    def ratio(self, goal: Goal) -> float:
        """Return our median over the best rival's."""
        best = max if self.row.more_is_better else min
        ours = next(iter(self.samples))
        return self.median(ours) / best(self.median(rival) for rival in goal.rivals)

    def is_reached(self, goal: Goal) -> bool:
        ratio = self.ratio(goal)
        return ratio >= goal.reach if self.row.more_is_better else ratio <= goal.reach

    def lines(self) -> Iterator[str]:
        """Yield the row as Markdown."""
        others = [f for f in next(iter(self.samples.values()))[0] if f != self._main]
        yield f"## {self.row.title}\n"
        yield f"{self.row.about}\n"
        heads = ["", f"median {self._main}", "least to most", *others]
        yield f"| {' | '.join(heads)} |"
        yield f"|---|{'---:|' * (len(heads) - 1)}"
        for name in self.samples:
            values = self._all(name)
            cells = [name, _text(self.median(name))]
            cells.append(f"{_text(min(values))} to {_text(max(values))}")
            cells += [_text(self.median(name, other)) for other in others]
            yield f"| {' | '.join(cells)} |"
        yield ""
        for goal in self.row.goals:
            yield f"* {self._verdict(goal)}"

    def _verdict(self, goal: Goal) -> str:
        rivals = " and ".join(goal.rivals)
        whom = f"the better of {rivals}" if len(goal.rivals) > 1 else rivals
        aim = "" if goal.aim is None else f", aim {goal.aim:g}x"
        met = "reached" if self.is_reached(goal) else "**not reached**"
        ratio = self.ratio(goal)
        return f"{ratio:.2f}x of {whom} (reach {goal.reach:g}x{aim}): {met}"

    @property
    def _main(self) -> str:
        return self.row.figure

    def _all(self, contender: str, figure: str | None = None) -> list[float]:
        return [sample[figure or self._main] for sample in self.samples[contender]]


def measure(row: Row, effort: Effort, *, tell: Callable[[str], object]) -> Result:
    """Let all contenders take turns, so that the machine's moods hit them alike."""
    samples: dict[str, list[Sample]] = {name: [] for name in row.contenders}
    for repetition in range(effort.repetitions):
        for name, take in row.contenders.items():
            samples[name].append(sample := take(effort))
            figures = ", ".join(f"{k} {_text(v)}" for k, v in sample.items())
            tell(f"{row.name} {repetition + 1}/{effort.repetitions} {name}: {figures}")
    return Result(row, samples)


def _text(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}"
