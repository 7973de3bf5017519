"""Turns what is written once as a flow into a method of both clients.

A type checker sees `Darkroom.job` return a Job, and `AsyncDarkroom.job` something to
be awaited that is one.
"""

from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from functools import wraps
from typing import Any, Generic, ParamSpec, Protocol, TypeVar, overload

from service.client.running import AsyncRunner, Runner
from service.client.steps import Feed, Flow

_P = ParamSpec("_P")
_T = TypeVar("_T")


class _Blocking(Protocol):
    runner: Runner


class _Awaited(Protocol):
    runner: AsyncRunner


class Call(Generic[_P, _T]):
    """A method that does what a flow says and returns what it returns."""

    def __init__(self, flow: Callable[_P, Flow[_T]]) -> None:
        self._flow = flow

    @overload
    def __get__(self, client: _Blocking, kind: object = ...) -> Callable[_P, _T]: ...

    @overload
    def __get__(
        self, client: _Awaited, kind: object = ...
    ) -> Callable[_P, Coroutine[Any, Any, _T]]: ...

    def __get__(self, client: Any, kind: object = None) -> Any:
        """Bind it to a client; of the class it is the flow, for `help`."""
        return self._flow if client is None else _bound(client.runner.run, self._flow)


class Stream(Generic[_P, _T]):
    """A method whose result is iterated over, with or without `async`."""

    def __init__(self, feed: Callable[_P, Feed[_T]]) -> None:
        self._feed = feed

    @overload
    def __get__(
        self, client: _Blocking, kind: object = ...
    ) -> Callable[_P, Generator[_T, None, None]]: ...

    @overload
    def __get__(
        self, client: _Awaited, kind: object = ...
    ) -> Callable[_P, AsyncGenerator[_T, None]]: ...

    def __get__(self, client: Any, kind: object = None) -> Any:
        """Bind it to a client; of the class it is the feed, for `help`."""
        if client is None:
            return self._feed
        return _bound(client.runner.stream, self._feed)


def _bound(run: Callable[[Any], Any], flow: Callable[_P, Any]) -> Callable[_P, Any]:
    @wraps(flow)
    def method(*args: _P.args, **kwargs: _P.kwargs) -> Any:
        return run(flow(*args, **kwargs))

    return method
