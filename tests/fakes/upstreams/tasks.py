"""Providers whose calls submit tasks that are looked at later."""

import asyncio
from typing import Any, ClassVar

from aiohttp import web

from tests.fakes.upstreams.base import Fake
from tests.fakes.upstreams.words import Asked, Result


class TaskFake(Fake):
    """A fake whose calls submit tasks; `look` tells how one stands.

    Attributes:
        looks: Ids of the tasks that were looked at, in order.
    """

    tasks: ClassVar[bool] = True

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.looks: list[str] = []
        self._results: dict[str, list[Result] | str] = {}
        self._ready_at: dict[str, float] = {}

    def submitted(self, asked: Asked) -> web.Response:
        """Return the answer that names the task."""
        raise NotImplementedError

    def ends_in(self, asked: Asked, outcome: list[Result] | str) -> web.Response:
        """Take the task and name it; it ends, after its time, as `accept` says."""
        self.accept(asked, outcome)
        return self.submitted(asked)

    async def deliver(self, asked: Asked, results: list[Result]) -> web.Response:
        return self.ends_in(asked, results)

    def lost(self, asked: Asked) -> web.Response:
        return self.submitted(asked)

    def accept(self, asked: Asked, outcome: list[Result] | str) -> None:
        """Take the task; it ends, after its time, with images or in a state."""
        self._results[asked.id] = outcome
        now = asyncio.get_running_loop().time()
        self._ready_at[asked.id] = now + self._time_of().total_seconds()

    def look(self, task: str) -> list[Result] | str | None:
        """Return how the task ended; None while under way.

        Raises:
            KeyError: There is no such task.
        """
        self.looks.append(task)
        outcome = self._results[task]
        if asyncio.get_running_loop().time() < self._ready_at[task]:
            return None
        return outcome

    def forget_tasks(self) -> None:
        """Lose all tasks, as a provider that was restarted does."""
        self._results.clear()
