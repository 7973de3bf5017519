"""Events as they happen, each once and in order, over as many connections as it takes.

A stream that breaks is opened again behind the last event that was told, so that
nothing is missed.
"""

import json
from collections.abc import Mapping, Sequence

import httpx

from service.client.errors import NotDarkroom, Unreachable
from service.client.frames import Frame, Frames
from service.client.objects import Batch, Event, Job
from service.client.patience import jittered_s
from service.client.steps import (
    READ,
    Feed,
    Item,
    Opened,
    Params,
    Pause,
    Request,
    object_of,
    route,
)

_SILENCE_S = 25.0
"""Beyond what any answer may take; heartbeats come more often."""
_MOST_FRUITLESS = 10
"""So many connections in a row that break at once, and the stream is given up."""
_NOTHING_MORE = 204
_SNAPSHOT = "snapshot"
_FINAL: Mapping[str, frozenset[str]] = {
    "jobs": frozenset({"job.succeeded", "job.failed", "job.canceled", "job.expired"}),
    "batches": frozenset(
        {"batch.completed", "batch.failed", "batch.expired", "batch.cancelled"}
    ),
}


def events(
    subject: Job | Batch | str | None = None,
    *,
    after: str | None = None,
    types: Sequence[str] = (),
) -> Feed[Event]:
    """Yield what happens to a job, to a batch, or to all that is the account's.

    The stream of one job or batch begins with how it stands and ends with its final
    event; that of the account has no end.

    Args:
        subject: A job or batch, or its id; None: all.
        after: The id of the last event that you know; None: from now on.
        types: Of all events, only these, such as `job.succeeded`.

    Raises:
        Unreachable: Connections break as soon as they are made.
    """
    stream = _Stream(subject, types=types, after=after or "")
    fruitless = 0
    while True:
        try:
            yield from stream.read()
        except httpx.RequestError as exc:
            if fruitless == _MOST_FRUITLESS:
                raise Unreachable(f"the stream of events breaks ({exc})") from exc
        if stream.is_over:
            return
        fruitless = 0 if stream.heard else fruitless + 1
        yield Pause(stream.retry_s + jittered_s(fruitless))


class _Stream:
    """One stream over several connections.

    Attributes:
        is_over: Nothing more can happen.
        heard: Whether the last connection brought anything, a heartbeat at least.
        retry_s: How long the server wants to be left alone behind it.
    """

    def __init__(
        self, subject: Job | Batch | str | None, *, types: Sequence[str], after: str
    ) -> None:
        self._kind = _kind_of(subject)
        name = subject.id if isinstance(subject, Job | Batch) else subject
        self._path = route(*([] if name is None else [self._kind, name]), "events")
        self._params: Params = {"types": ",".join(types) or None}
        self._last_id = after
        self.is_over = self.heard = False
        self.retry_s = 0.0

    def read(self) -> Feed[Event]:
        """Read one connection to its end."""
        self.heard = False
        response: httpx.Response = yield Opened(self._request())
        self.is_over = response.status_code == _NOTHING_MORE
        frames = Frames(self._last_id)
        while not self.is_over and (chunk := (yield READ)):
            self.heard = True
            for frame in frames.feed(chunk):
                event = _event_of(frame)
                self.is_over = self._ends_with(event)
                yield Item(event)
            self._last_id, self.retry_s = frames.last_id, frames.retry_s

    def _request(self) -> Request:
        headers = {"Accept": "text/event-stream"}
        if self._last_id:
            headers["Last-Event-ID"] = self._last_id
        return Request(
            path=self._path, params=self._params, headers=headers, held_s=_SILENCE_S
        )

    def _ends_with(self, event: Event) -> bool:
        if event.type == _SNAPSHOT:
            seen = event.job or event.batch
            return seen is not None and seen.is_final
        return event.type in _FINAL.get(self._kind, ())


def _kind_of(subject: Job | Batch | str | None) -> str:
    if subject is None:
        return ""
    text = subject if isinstance(subject, str) else subject.id
    is_batch = isinstance(subject, Batch) or text.startswith("batch_")
    return "batches" if is_batch else "jobs"


def _event_of(frame: Frame) -> Event:
    try:
        told = json.loads(frame.data)
    except ValueError as exc:
        raise NotDarkroom("an event is not JSON") from exc
    if not isinstance(told, dict):
        raise NotDarkroom("an event is no JSON object")
    return object_of(Event, told | {"id": frame.id, "type": frame.event})
