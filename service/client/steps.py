"""Calls without I/O: generators that say what is to be done next, and are told.

    yield a Request          the httpx.Response is sent back, a success, read whole
    yield Opened(request)    the same, with its body still to come
    yield READ               the next bytes of that body; b"" is its end
    yield Pause(seconds)     nothing, some time later
    yield Item(value)        nothing; whoever iterates over the stream gets the value

Whatever goes wrong meanwhile is raised at the `yield`. `service.client.running` does
what they say, with and without `await`; all else is written once.
"""

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Generic, TypeVar
from urllib.parse import quote

import httpx

from service.client.bodies import Body
from service.client.errors import NotDarkroom
from service.client.reading import Object

_T = TypeVar("_T")
_O = TypeVar("_O", bound=Object)

_PAGE = 100

Params = Mapping[str, str | int | None]
_NONE: Params = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One call to the front door.

    Attributes:
        path: Or a whole URL, to which the key does not go.
        params: The query, without what is None.
        held_s: How much longer than usual an answer may take, or its next bytes.
        is_once: Sent twice, it would do something twice.
    """

    method: str = "GET"
    path: str
    params: Params = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Body | None = None
    held_s: float = 0.0
    is_once: bool = False


@dataclass(frozen=True, slots=True)
class Opened:
    """A call whose answer is read bit by bit."""

    request: Request


@dataclass(frozen=True, slots=True)
class Pause:
    """Some time in which nothing is done."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Item(Generic[_T]):
    """Something for whoever iterates over the stream."""

    value: _T


class Reading(Enum):
    """The wish for more of the body."""

    READ = "read"


READ = Reading.READ

Step = Request | Opened | Pause | Reading | Item[Any]
Flow = Generator[Request | Opened | Pause | Reading, Any, _T]
Feed = Generator[Request | Opened | Pause | Reading | Item[_T], Any, None]


@dataclass(frozen=True, slots=True)
class Done(Generic[_T]):
    """What a flow returned."""

    value: _T


def advanced(flow: Generator[Step, Any, _T], reply: object) -> Step | Done[_T]:
    """Take `flow` to its next step; a reply that is an exception is raised in it."""
    try:
        if isinstance(reply, Exception):
            return flow.throw(reply)
        return flow.send(reply)
    except StopIteration as end:
        return Done(end.value)


def route(*parts: str | int) -> str:
    """Return a path below `/v1`, whatever stands in its parts."""
    return "/v1/" + "/".join(quote(str(part), safe="") for part in parts)


def asked(kind: type[_O], request: Request) -> Flow[_O]:
    """Send `request` and return the object that the answer is."""
    response: httpx.Response = yield request
    return object_of(kind, json_of(response))


def listed(
    kind: type[_O], path: str, *, limit: int | None, params: Params = _NONE
) -> Feed[_O]:
    """Yield what a listing holds, page by page, at most `limit`; None: all of it."""
    left, after = limit, None
    while left is None or left > 0:
        size = _PAGE if left is None else min(_PAGE, left)
        page = json_of(
            (yield Request(path=path, params={**params, "limit": size, "after": after}))
        )
        for raw in page.get("data", []):
            yield Item(object_of(kind, raw))
            after = raw["id"]
        if not page.get("has_more"):
            return
        left = None if left is None else left - size


def json_of(response: httpx.Response) -> dict[str, Any]:
    """Return the JSON object that an answer is.

    Raises:
        NotDarkroom: It is none.
    """
    try:
        body = response.json()
    except ValueError:
        body = None
    if not isinstance(body, dict):
        url = response.request.url.copy_with(raw_path=b"/")
        raise NotDarkroom(f"{url} does not answer like Darkroom")
    return body


def object_of(kind: type[_O], raw: Mapping[str, Any]) -> _O:
    """Read an object.

    Raises:
        NotDarkroom: It is another one.
    """
    try:
        return kind.of(raw)
    except ValueError as exc:
        raise NotDarkroom(f"the answer cannot be understood: {exc}") from exc
