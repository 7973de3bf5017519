"""Batches: many requests uploaded as lines, and their results as they come."""

import json
import math
import time
from collections.abc import Mapping

import httpx

from service.client.bodies import Lines, LineSource
from service.client.errors import NotDarkroom, StillRunning, Unreachable
from service.client.fields import named
from service.client.frames import SplitLines
from service.client.objects import Batch, BatchResult
from service.client.patience import jittered_s
from service.client.steps import (
    READ,
    Feed,
    Flow,
    Item,
    Opened,
    Params,
    Pause,
    Request,
    asked,
    listed,
    object_of,
    route,
)

_READ_THROUGH_S = 600.0
_FIRST_LOOK_S = 0.25
_LOOK_EVERY_S = 5.0
_SILENCE_S = 40.0
_MOST_FRUITLESS = 10
_TRUTH = {True: "true", False: "false"}


def submit_batch(
    lines: LineSource,
    *,
    model: str | None = None,
    webhook: str | None = None,
    metadata: Mapping[str, str] | None = None,
    window_s: int | None = None,
    idempotency_key: str | None = None,
) -> Flow[Batch]:
    """Upload a batch line by line; it begins once the last one has come.

    Never much of it is in memory. With an `idempotency_key` of your own, sending it
    again after silence or a crash makes nothing twice.

    Args:
        lines: A path, or whatever yields fields, prompts or lines of JSON. What yields
            them only once cannot be sent again by this call.
        model: Of lines that name none.
        webhook: The URL that is told when it ends, and of each step before.
        metadata: Your own notes.
        window_s: Lines that have not begun by then expire.
        idempotency_key: Your own name for it; None: one is made for this call.

    Raises:
        DarkroomError: It was refused, or no answer came.
    """
    pairs = {f"metadata.{name}": value for name, value in (metadata or {}).items()}
    params = {
        "model": model,
        "window_s": window_s,
        "webhook": webhook,
        **pairs,
    }
    request = Request(
        method="POST",
        path=route("batches"),
        params=params,
        headers=named(idempotency_key),
        body=Lines(lines),
        held_s=_READ_THROUGH_S,
    )
    return asked(Batch, request)


def batch(batch_id: str) -> Flow[Batch]:
    """Return a batch as it stands."""
    return asked(Batch, Request(path=route("batches", batch_id)))


def batches(*, limit: int | None = None) -> Feed[Batch]:
    """Yield batches, newest first, at most `limit`; None: all."""
    return listed(Batch, route("batches"), limit=limit)


def wait_batch(batch: Batch | str, *, timeout_s: float | None = None) -> Flow[Batch]:
    """Return a batch once it is final, however it ended.

    Raises:
        StillRunning: `timeout_s` was over before.
    """
    until = math.inf if timeout_s is None else time.monotonic() + timeout_s
    every_s, request = _FIRST_LOOK_S, Request(path=route("batches", _id_of(batch)))
    while True:
        seen = yield from asked(Batch, request)
        left_s = until - time.monotonic()
        if seen.is_final:
            return seen
        if left_s <= 0:
            raise StillRunning(seen)
        yield Pause(min(every_s, left_s))
        every_s = min(_LOOK_EVERY_S, 2 * every_s)


def results(
    batch: Batch | str, *, after: int = 0, follow: bool = True
) -> Feed[BatchResult]:
    """Yield what became of each line, in the order in which they ended.

    A connection that breaks is made again where it broke.

    Args:
        batch: Whose results.
        after: Leave out so many; you have them.
        follow: Wait for those to come; else only what there is.

    Raises:
        Unreachable: Connections break as soon as they are made.
    """
    stream = _Results(batch, after=after, follow=follow)
    fruitless, was_final = 0, not follow
    while True:
        try:
            yield from stream.read()
        except httpx.RequestError as exc:
            if fruitless == _MOST_FRUITLESS:
                raise Unreachable(f"the stream of results breaks ({exc})") from exc
            fruitless = 0 if stream.heard else fruitless + 1
            yield Pause(jittered_s(fruitless))
            continue
        if was_final:
            return
        # It may have been a front door that drains.
        was_final = (yield from asked(Batch, stream.subject)).is_final


class _Results:
    """One stream over several connections.

    Attributes:
        subject: Reads the batch.
        heard: Whether the last connection brought anything.
    """

    def __init__(self, batch: Batch | str, *, after: int, follow: bool) -> None:
        self.subject = Request(path=route("batches", _id_of(batch)))
        self.heard = False
        self._after, self._follow = after, follow

    def read(self) -> Feed[BatchResult]:
        """Read one connection to its end."""
        self.heard = False
        params: Params = {"after": self._after, "follow": _TRUTH[self._follow]}
        path = f"{self.subject.path}/results"
        yield Opened(Request(path=path, params=params, held_s=_SILENCE_S))
        lines = SplitLines()
        while chunk := (yield READ):
            self.heard = True
            for line in lines.feed(chunk):
                if line.strip():  # a blank one is a heartbeat
                    self._after += 1
                    yield Item(_result_of(line))


def _result_of(line: bytes) -> BatchResult:
    try:
        raw = json.loads(line)
    except ValueError as exc:
        raise NotDarkroom("a result is not JSON") from exc
    return object_of(BatchResult, raw)


def cancel_batch(batch: Batch | str) -> Flow[Batch]:
    """Drop what has not begun; what has is finished."""
    path = route("batches", _id_of(batch), "cancel")
    return asked(Batch, Request(method="POST", path=path))


def retry_failed(
    batch: Batch | str, *, idempotency_key: str | None = None
) -> Flow[Batch]:
    """Submit the lines that failed as another batch.

    It is `validating` until they are found. Called again, it makes one more, unless
    both have one `idempotency_key`.
    """
    path = route("batches", _id_of(batch), "retry-failed")
    headers = named(idempotency_key)
    return asked(Batch, Request(method="POST", path=path, headers=headers))


def _id_of(batch: Batch | str) -> str:
    return batch.id if isinstance(batch, Batch) else batch
