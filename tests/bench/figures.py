"""Repetitions, medians, ratios, and how they are written down."""

import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
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


Contenders = Mapping[str, Callable[[Effort], Sample]]
"""Measures each, by its name in the table; ours is the first."""


class Skipped(Exception):
    """What a row needs is not installed here; the message says what."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """Our ratio to the best of `rivals`: what to reach, and what to aim for.

    Attributes:
        rivals: Without any, `reach` and `aim` are values of the figure itself.
        figure: Another than the row's.
        more_is_better: Whether the higher figure wins, if that is not as in the row.
        ours: Another contender than the first.
    """

    rivals: tuple[str, ...]
    reach: float
    aim: float | None = None
    figure: str | None = None
    more_is_better: bool | None = None
    ours: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One metric and who is measured by it.

    Attributes:
        name: What the command line calls it.
        about: What exactly is done, in sentences.
        figure: The one of a sample's figures that the ratio is of.
        more_is_better: Whether the higher figure wins.
        contenders: Who takes turns; or what opens them, and keeps open all the
            while what is too dear to start for every turn.
    """

    name: str
    title: str
    about: str
    figure: str
    more_is_better: bool
    contenders: Contenders | Callable[[], AbstractContextManager[Contenders]]
    goals: tuple[Goal, ...]

    def open(self) -> AbstractContextManager[Contenders]:
        """Return the contenders, which are at work until it is left."""
        if callable(self.contenders):
            return self.contenders()
        return nullcontext(self.contenders)


@dataclass(frozen=True, slots=True)
class Result:
    """All samples of a row, in the order in which they were taken.

    Attributes:
        skipped: Why there are none.
    """

    row: Row
    samples: Mapping[str, Sequence[Sample]]
    skipped: str = ""

    def median(self, contender: str, figure: str | None = None) -> float:
        return statistics.median(self._all(contender, figure))

    def ratio(self, goal: Goal) -> float:
        """Return our median over the best rival's, or itself where there is none."""
        ours = self.median(goal.ours or next(iter(self.samples)), goal.figure)
        if not goal.rivals:
            return ours
        best = max if self._wants_more(goal) else min
        return ours / best(self.median(rival, goal.figure) for rival in goal.rivals)

    def is_reached(self, goal: Goal) -> bool:
        ratio = self.ratio(goal)
        return ratio >= goal.reach if self._wants_more(goal) else ratio <= goal.reach

    def lines(self) -> Iterator[str]:
        """Yield the row as Markdown."""
        yield f"## {self.row.title}\n"
        yield f"{self.row.about}\n"
        if self.skipped:
            yield f"Not measured: {self.skipped}."
            return
        firsts = [samples[0] for samples in self.samples.values()]
        others = list(dict.fromkeys(f for s in firsts for f in s if f != self._main))
        heads = ["", f"median {self._main}", "least to most", *others]
        yield f"| {' | '.join(heads)} |"
        yield f"|---|{'---:|' * (len(heads) - 1)}"
        for name in self.samples:
            values = self._all(name)
            cells = [name, _text(self.median(name))]
            cells.append(f"{_text(min(values))} to {_text(max(values))}")
            cells += [self._cell(name, other) for other in others]
            yield f"| {' | '.join(cells)} |"
        yield ""
        for goal in self.row.goals:
            yield f"* {self._verdict(goal)}"

    def _cell(self, contender: str, figure: str) -> str:
        values = self._all(contender, figure)
        return _text(statistics.median(values)) if values else ""

    def _verdict(self, goal: Goal) -> str:
        unit = "x" if goal.rivals else ""
        aim = "" if goal.aim is None else f", aim {goal.aim:g}{unit}"
        met = "reached" if self.is_reached(goal) else "**not reached**"
        came_to = f"{_text(self.ratio(goal))}{unit}{self._subject(goal)}"
        return f"{came_to} (reach {goal.reach:g}{unit}{aim}): {met}"

    def _subject(self, goal: Goal) -> str:
        rivals = " and ".join(goal.rivals)
        whom = f"the better of {rivals}" if len(goal.rivals) > 1 else rivals
        words = f" of {whom}" if whom else ""
        if goal.figure is not None or not whom:
            words += f" in {goal.figure or self._main}"
        return words + (f", {goal.ours}" if goal.ours else "")

    def _wants_more(self, goal: Goal) -> bool:
        own = goal.more_is_better
        return self.row.more_is_better if own is None else own

    @property
    def _main(self) -> str:
        return self.row.figure

    def _all(self, contender: str, figure: str | None = None) -> list[float]:
        name = figure or self._main
        return [sample[name] for sample in self.samples[contender] if name in sample]


def measure(row: Row, effort: Effort, *, tell: Callable[[str], object]) -> Result:
    """Let all contenders take turns, so that the machine's moods hit them alike."""
    samples: dict[str, list[Sample]] = {}
    try:
        with row.open() as contenders:
            for repetition in range(effort.repetitions):
                turn = f"{row.name} {repetition + 1}/{effort.repetitions}"
                for name, take in contenders.items():
                    samples.setdefault(name, []).append(sample := take(effort))
                    figures = ", ".join(f"{k} {_text(v)}" for k, v in sample.items())
                    tell(f"{turn} {name}: {figures}")
    except Skipped as exc:
        tell(f"{row.name} is skipped: {exc}")
        return Result(row, {}, skipped=str(exc))
    return Result(row, samples)


def _text(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}"
