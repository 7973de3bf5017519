"""How far a batch is: a bar on a terminal, a line now and then elsewhere."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from service.cli.batch.manifest import Entry
from service.cli.output import say

if TYPE_CHECKING:
    from rich import progress as rich

_LINE_EVERY_S = 5.0


class Progress(Protocol):
    """Is told of every entry as it is added."""

    def add(self, entry: Entry) -> None:
        """Count one finished line."""
        ...

    def say(self, message: str) -> None:
        """Show a message without spoiling the picture."""
        ...


@contextmanager
def shown_progress(total: int, *, done: int, is_terminal: bool) -> Iterator[Progress]:
    """Show the progress of `total` lines, `done` of which an earlier run finished."""
    if not is_terminal:
        plain = PlainProgress(total, done=done)
        yield plain
        plain.report()
        return
    from rich import progress as rich
    from rich.console import Console

    columns = (
        rich.BarColumn(bar_width=None),
        rich.MofNCompleteColumn(),
        rich.TextColumn("{task.fields[rate]}"),
        rich.TimeRemainingColumn(),
        rich.TextColumn("{task.fields[failed]}"),
    )
    with rich.Progress(*columns, console=Console(stderr=True), expand=True) as bar:
        task = bar.add_task("", total=total, completed=done, rate="", failed="")
        yield _BarProgress(bar, task)


class _Count:
    """Lines finished by this run, and how fast."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self.finished = self.failed = 0

    def add(self, entry: Entry) -> None:
        self.finished += 1
        self.failed += not entry.succeeded

    @property
    def rate(self) -> float:
        """Lines a second since the start."""
        return self.finished / max(0.001, time.monotonic() - self._began)


class PlainProgress:
    """Lines of text, at most one each few seconds."""

    def __init__(self, total: int, *, done: int) -> None:
        self._total, self._done, self._count = total, done, _Count()
        self._next_at = time.monotonic() + _LINE_EVERY_S

    def add(self, entry: Entry) -> None:
        """See `Progress.add`."""
        self._count.add(entry)
        if time.monotonic() >= self._next_at:
            self._next_at = time.monotonic() + _LINE_EVERY_S
            self.report()

    def say(self, message: str) -> None:
        """See `Progress.say`."""
        say(message)

    def report(self) -> None:
        """Print how far it is."""
        count, done = self._count, self._done + self._count.finished
        text = f"{done:,} of {self._total:,}, {count.failed:,} failed"
        if count.finished and done < self._total:
            left_s = (self._total - done) / count.rate
            text += f", {count.rate:.1f}/s, about {_duration(left_s)} left"
        say(text)


class _BarProgress:
    def __init__(self, bar: "rich.Progress", task: "rich.TaskID") -> None:
        self._bar, self._task, self._count = bar, task, _Count()

    def add(self, entry: Entry) -> None:
        self._count.add(entry)
        failed = f"{self._count.failed:,} failed" if self._count.failed else ""
        rate = f"{self._count.rate:.1f}/s"
        self._bar.update(self._task, advance=1, rate=rate, failed=failed)

    def say(self, message: str) -> None:
        self._bar.console.print(message, markup=False, highlight=False)


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
