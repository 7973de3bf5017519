"""What is measured, repetitions of it, medians and ratios."""

import statistics
from collections.abc import Callable, Mapping, Sequence
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

    @property
    def unit(self) -> str:
        """What stands behind its numbers."""
        return "x" if self.rivals else ""


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

    def subject(self, goal: Goal) -> str:
        """Return what the goal is about; no other of the row is about the same."""
        rivals = " and ".join(goal.rivals)
        whom = f"the better of {rivals}" if len(goal.rivals) > 1 else rivals
        words = f"of {whom}" if whom else ""
        if goal.figure is not None or not whom:
            words += f" in {goal.figure or self.figure}"
        return words.strip() + (f" ({goal.ours})" if goal.ours else "")

    def wants_more(self, goal: Goal) -> bool:
        """Whether the higher figure wins."""
        own = goal.more_is_better
        return self.more_is_better if own is None else own


@dataclass(frozen=True, slots=True)
class Result:
    """All samples of a row, in the order in which they were taken.

    Attributes:
        skipped: Why there are none.
    """

    row: Row
    samples: Mapping[str, Sequence[Sample]]
    skipped: str = ""

    def values(self, contender: str, figure: str | None = None) -> list[float]:
        """Return all of a figure; none where the contender does not have it."""
        name = figure or self.row.figure
        return [sample[name] for sample in self.samples[contender] if name in sample]

    def median(self, contender: str, figure: str | None = None) -> float:
        return statistics.median(self.values(contender, figure))

    def ratio(self, goal: Goal) -> float:
        """Return our median over the best rival's, or itself where there is none."""
        ours = self.median(goal.ours or next(iter(self.samples)), goal.figure)
        if not goal.rivals:
            return ours
        best = max if self.row.wants_more(goal) else min
        return ours / best(self.median(rival, goal.figure) for rival in goal.rivals)

    def score(self, goal: Goal, target: float | None = None) -> float:
        """Return our part of the target, by default of `reach`: 1 and above is met."""
        ratio, target = self.ratio(goal), goal.reach if target is None else target
        return ratio / target if self.row.wants_more(goal) else target / ratio

    def is_reached(self, goal: Goal) -> bool:
        return self.score(goal) >= 1

    def is_aim_missed(self, goal: Goal) -> bool:
        """Whether something is left to explain."""
        return self.score(goal, goal.aim) < 1


def measure(row: Row, effort: Effort, *, tell: Callable[[str], object]) -> Result:
    """Let all contenders take turns, so that the machine's moods hit them alike."""
    samples: dict[str, list[Sample]] = {}
    try:
        with row.open() as contenders:
            for repetition in range(effort.repetitions):
                turn = f"{row.name} {repetition + 1}/{effort.repetitions}"
                for name, take in contenders.items():
                    samples.setdefault(name, []).append(sample := take(effort))
                    figures = ", ".join(f"{k} {shown(v)}" for k, v in sample.items())
                    tell(f"{turn} {name}: {figures}")
    except Skipped as exc:
        tell(f"{row.name} is skipped: {exc}")
        return Result(row, {}, skipped=str(exc))
    return Result(row, samples)


def shown(value: float) -> str:
    """Return a figure as it is written down."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}"
