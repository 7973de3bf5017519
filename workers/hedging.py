"""A second call where the first is slow; the first answer wins.

    first ------------------------------------> called off
              | after a while     second --> answer

An error is no answer: it waits for what the other comes to. Who is called off may have
been billed all the same.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from service.core.catalog import Route
from service.core.errors import ProviderError
from service.core.provider import Generated
from service.job_store.listening import end


@dataclass(frozen=True, slots=True, kw_only=True)
class Try:
    """One call of a provider, and what it came to: nothing, if it was called off."""

    route: Route
    started: datetime
    ms: int
    made: Generated | None = None
    error: ProviderError | None = None


Calling = Callable[[], Coroutine[Any, Any, Generated]]
"""Calls a provider; raises ProviderError."""


class Running:
    """A call under way."""

    def __init__(self, route: Route, calling: Calling) -> None:
        self._route, self._started = route, datetime.now(UTC)
        self.task = asyncio.create_task(_tried(route, calling, self._started))

    def tried(self) -> Try:
        """Return what it came to, or that it was called off."""
        if self.task.cancelled():
            return Try(
                route=self._route, started=self._started, ms=_ms_since(self._started)
            )
        return self.task.result()


async def once(route: Route, calling: Calling) -> Try:
    """Return what a call comes to that has none beside it."""
    return await _tried(route, calling, datetime.now(UTC))


@dataclass(frozen=True, slots=True, kw_only=True)
class Hedge:
    """When and how a second call begins.

    Attributes:
        after: So long the first has to itself.
        begin: Begins the second; None: it may not.
        stands: Whether such an error of the first is the answer, whatever the second
            might come to.
    """

    after: timedelta
    begin: Callable[[], Awaitable[Running | None]]
    stands: Callable[[ProviderError], bool]


async def first_answer(first: Running, hedge: Hedge) -> tuple[Try, Try | None]:
    """Return the try that decides, and the other one if there was one.

    Where both failed, the first decides.
    """
    second = None
    try:
        await asyncio.wait([first.task], timeout=hedge.after.total_seconds())
        if not first.task.done():
            second = await hedge.begin()
        if second is None:
            return await first.task, None
        await _decided(first, second, hedge)
    finally:
        running = [first.task] if second is None else [first.task, second.task]
        await end([task for task in running if not task.done()])
    one, two = first.tried(), second.tried()
    if one.made is None and two.made is not None:
        return two, one
    return one, two


async def _decided(first: Running, second: Running, hedge: Hedge) -> None:
    pending = {first.task, second.task}
    while pending:
        done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
        if any(task.result().made is not None for task in done):
            return
        if first.task.done():
            error = first.task.result().error
            if error is not None and hedge.stands(error):
                return


async def _tried(route: Route, calling: Calling, started: datetime) -> Try:
    made, error = None, None
    try:
        made = await calling()
    except ProviderError as exc:
        error = exc
    ms = _ms_since(started)
    return Try(route=route, started=started, ms=ms, made=made, error=error)


def _ms_since(started: datetime) -> int:
    return (datetime.now(UTC) - started) // timedelta(milliseconds=1)
