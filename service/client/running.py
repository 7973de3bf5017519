"""The two that do what a flow says: one blocks, the other awaits.

All in which `Darkroom` and `AsyncDarkroom` differ stands here, side by side.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator
from typing import TypeVar

import httpx

from service.client.bodies import Lines
from service.client.connections import Door, Doors, Target
from service.client.errors import DarkroomError
from service.client.patience import Patience, Trouble
from service.client.steps import (
    Done,
    Feed,
    Flow,
    Item,
    Opened,
    Pause,
    Reading,
    Request,
    Step,
    advanced,
)

_T = TypeVar("_T")

_TOLD = (DarkroomError, httpx.RequestError)
"""What is raised in the flow, which may know better than to end."""


class Runner:
    """Does what flows say in the thread that calls."""

    def __init__(self, target: Target, patience: Patience) -> None:
        self._target, self._patience = target, patience
        self.door = Door()

    def run(self, flow: Flow[_T]) -> _T:
        """Return what the flow returns."""
        call, step = _Call(self), advanced(flow, None)
        while not isinstance(step, Done):
            step = advanced(flow, call.reply(step))
        return step.value

    def stream(self, feed: Feed[_T]) -> Generator[_T, None, None]:
        """Yield the items of the feed."""
        call, step = _Call(self), advanced(feed, None)
        try:
            while not isinstance(step, Done):
                if isinstance(step, Item):
                    yield step.value
                step = advanced(feed, call.reply(step))
        finally:
            call.close()

    def send(self, request: Request, *, is_stream: bool = False) -> httpx.Response:
        """Send a request until it succeeds.

        Raises:
            DarkroomError: It does not.
        """
        trouble = Trouble(request, self._patience)
        while True:
            options = self._target.options(request, Lines.chunks)
            try:
                response = self.door.send(options, is_stream=is_stream)
            except httpx.RequestError as exc:
                wait_s = trouble.unheard(exc)
            else:
                if response.is_success:
                    return response
                wait_s = trouble.turned_away(response)
            time.sleep(wait_s)


class _Call:
    """One flow, and the answer it is reading."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self._response: httpx.Response | None = None
        self._chunks: Iterator[bytes] = iter(())

    def reply(self, step: Step) -> object:
        """Do what the step says; return what the flow is to be told."""
        try:
            match step:
                case Request():
                    return self._runner.send(step)
                case Opened():
                    self.close()
                    self._response = self._runner.send(step.request, is_stream=True)
                    self._chunks = self._response.iter_bytes()
                    return self._response
                case Reading():
                    return next(self._chunks, b"")
                case Pause():
                    time.sleep(step.seconds)
        except _TOLD as exc:
            return exc
        return None

    def close(self) -> None:
        """Let go of the answer."""
        if self._response is not None:
            self._response.close()


class AsyncRunner:
    """Does what flows say in tasks that await."""

    def __init__(self, target: Target, patience: Patience, *, connections: int) -> None:
        self._target, self._patience = target, patience
        self.doors = Doors(connections)

    async def run(self, flow: Flow[_T]) -> _T:
        """See `Runner.run`."""
        call, step = _AsyncCall(self), advanced(flow, None)
        while not isinstance(step, Done):
            step = advanced(flow, await call.reply(step))
        return step.value

    async def stream(self, feed: Feed[_T]) -> AsyncGenerator[_T, None]:
        """See `Runner.stream`."""
        call, step = _AsyncCall(self), advanced(feed, None)
        try:
            while not isinstance(step, Done):
                if isinstance(step, Item):
                    yield step.value
                step = advanced(feed, await call.reply(step))
        finally:
            await call.close()

    async def send(
        self, request: Request, *, is_stream: bool = False
    ) -> httpx.Response:
        """See `Runner.send`."""
        trouble = Trouble(request, self._patience)
        while True:
            options = self._target.options(request, Lines.awaited_chunks)
            try:
                response = await self.doors.send(options, is_stream=is_stream)
            except httpx.RequestError as exc:
                wait_s = trouble.unheard(exc)
            else:
                if response.is_success:
                    return response
                wait_s = trouble.turned_away(response)
            await asyncio.sleep(wait_s)


class _AsyncCall:
    """See `_Call`."""

    def __init__(self, runner: AsyncRunner) -> None:
        self._runner = runner
        self._response: httpx.Response | None = None
        self._chunks: AsyncIterator[bytes] = _nothing()

    async def reply(self, step: Step) -> object:
        try:
            match step:
                case Request():
                    return await self._runner.send(step)
                case Opened():
                    await self.close()
                    self._response = await self._runner.send(
                        step.request, is_stream=True
                    )
                    self._chunks = self._response.aiter_bytes()
                    return self._response
                case Reading():
                    return await anext(self._chunks, b"")
                case Pause():
                    await asyncio.sleep(step.seconds)
        except _TOLD as exc:
            return exc
        return None

    async def close(self) -> None:
        if self._response is not None:
            await self._response.aclose()


async def _nothing() -> AsyncIterator[bytes]:
    for chunk in list[bytes]():
        yield chunk
