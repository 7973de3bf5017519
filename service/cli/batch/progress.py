"""How far a batch is: a bar on a terminal, a line now and then elsewhere."""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from service.cli.batch.entries import Entry
from service.cli.output import say

if TYPE_CHECKING:
    from rich import progress as rich

    from service.client import Batch

_LINE_EVERY_S = 5.0


@dataclass(slots=True, kw_only=True)
class Tally:
    """How far a batch is.

    Attributes:
        total: How many lines there are.
        done: Those of which it is known what became of them.
        failed: Those of them that have no images.
        images: That were made.
        cost: US dollars so far.
    """

    total: int
    done: int = 0
    failed: int = 0
    images: int = 0
    cost: float = 0.0

    @classmethod
    def of(cls, batch: "Batch") -> "Tally":
        """Return how far the front door says it is."""
        counts, summary = batch.request_counts, batch.summary
        failed = counts.failed + counts.canceled + counts.expired
        return cls(
            total=counts.total,
            done=counts.completed + failed,
            failed=failed,
            images=summary.images,
            cost=summary.cost,
        )

    @classmethod
    def of_entries(cls, entries: Iterable[Entry], *, total: int) -> "Tally":
        """Return how far a folder is that holds these of `total` lines."""
        tally = cls(total=total)
        for entry in entries:
            tally.add(entry)
        return tally

    def add(self, entry: Entry) -> None:
        """Count one line."""
        self.done += 1
        self.failed += not entry.succeeded
        self.images += len(entry.images)
        self.cost += entry.cost or 0.0

    @property
    def money(self) -> str:
        """What it costs, and how much it will, if the rest costs as much."""
        if not self.cost:
            return ""
        whole = self.cost * self.total / max(1, self.done)
        text = f"${self.cost:,.2f}"
        return text if self.done == self.total else f"{text} of about ${whole:,.2f}"


class Progress(Protocol):
    """Shows how far a batch is."""

    def show(self, tally: Tally) -> None:
        """Show it, if it is time to."""
        ...

    def say(self, message: str) -> None:
        """Show a message without spoiling the picture."""
        ...


def counting(tally: Tally, progress: Progress) -> Callable[[Entry], None]:
    """Return what counts an entry and shows it."""

    def count(entry: Entry) -> None:
        tally.add(entry)
        progress.show(tally)

    progress.show(tally)
    return count


@contextmanager
def shown_progress(*, is_terminal: bool) -> Iterator[Progress]:
    """Show how far a batch is, for as long as the context is open."""
    if not is_terminal:
        plain = PlainProgress()
        yield plain
        plain.report()
        return
    from rich import progress as rich
    from rich.console import Console

    columns = (
        rich.BarColumn(bar_width=None),
        rich.MofNCompleteColumn(),
        rich.TextColumn("{task.fields[said]}"),
    )
    with rich.Progress(*columns, console=Console(stderr=True), expand=True) as bar:
        yield _BarProgress(bar, bar.add_task("", total=None, said=""))


class _Pace:
    """How fast it goes since the first look."""

    def __init__(self) -> None:
        self._began, self._done, self._images = 0.0, 0, 0

    def begin(self, tally: Tally) -> None:
        """Take the first look, if there was none."""
        if not self._began:
            self._began = time.monotonic()
            self._done, self._images = tally.done, tally.images

    def said(self, tally: Tally) -> list[str]:
        """Return failures, images a second, the money, and the time that is left."""
        took_s = max(0.001, time.monotonic() - self._began)
        done = tally.done - self._done
        words = [f"{tally.failed:,} failed" if tally.failed else ""]
        if done:
            words.append(f"{(tally.images - self._images) / took_s:.1f} images/s")
        words.append(tally.money)
        if done and tally.done < tally.total:
            left_s = (tally.total - tally.done) * took_s / done
            words.append(f"about {_duration(left_s)} left")
        return [word for word in words if word]


class PlainProgress:
    """Lines of text, at most one each few seconds."""

    def __init__(self) -> None:
        self._pace, self._tally = _Pace(), Tally(total=0)
        self._next_at = time.monotonic() + _LINE_EVERY_S

    def show(self, tally: Tally) -> None:
        """See `Progress.show`."""
        self._tally = tally
        self._pace.begin(tally)
        if time.monotonic() >= self._next_at:
            self._next_at = time.monotonic() + _LINE_EVERY_S
            self.report()

    def say(self, message: str) -> None:
        """See `Progress.say`."""
        say(message)

    def report(self) -> None:
        """Print how far it is."""
        tally = self._tally
        if tally.total:
            counts = f"{tally.done:,} of {tally.total:,}"
            say(", ".join([counts, *self._pace.said(tally)]))


class _BarProgress:
    def __init__(self, bar: "rich.Progress", task: "rich.TaskID") -> None:
        self._bar, self._task, self._pace = bar, task, _Pace()

    def show(self, tally: Tally) -> None:
        self._pace.begin(tally)
        said = "  ".join(self._pace.said(tally))
        self._bar.update(self._task, total=tally.total, completed=tally.done, said=said)

    def say(self, message: str) -> None:
        self._bar.console.print(message, markup=False, highlight=False)


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
