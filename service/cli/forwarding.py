"""Events on their way to a program on this machine, as webhooks would have come.

A receiver that is away is asked again for a while, and told of once. Others are not
kept waiting by one that hangs: events go out side by side, up to a limit; beyond it
the stream waits, which the front door keeps.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import aclosing
from datetime import datetime
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import httpx
import orjson

from service.cli.output import emit, print_row, say, when
from service.client import AsyncDarkroom, Event, NotFound
from service.core.webhooks import DISABLED, HELD, signed

_ABREAST = 100
_TIMEOUT_S = 15.0
_WAITS_S = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
"""Before each further try; a program that is being restarted is back by then."""
_MANIFOLD = frozenset({"job.progress", HELD, DISABLED})
"""What happens more than once to the same job or endpoint."""


class Sent(NamedTuple):
    """What became of one event.

    Attributes:
        id: The `webhook-id`.
        status: What the receiver answered; None: nothing.
        ms: How long the last try took.
        error: Why there was no answer.
    """

    id: str
    type: str
    subject: str
    created_at: datetime | None
    status: int | None
    ms: int
    error: str | None


Tell = Callable[[Sent], None]


def shown(sent: Sent) -> None:
    """Print it on a line."""
    outcome = sent.status or f"gave up: {sent.error}"
    took = f"{sent.ms} ms" if sent.status else None
    print_row(when(sent.created_at), sent.type, sent.subject, outcome, took)


def shown_as_json(sent: Sent) -> None:
    """Print it as a line of JSON."""
    at = sent.created_at.timestamp() if sent.created_at else None
    emit(sent._asdict() | {"created_at": at})


async def forwarded(
    client: AsyncDarkroom, url: str, *, secret: str, types: Sequence[str], tell: Tell
) -> None:
    """Forward what happens from now on, without an end.

    Args:
        client: Tells it.
        url: Where to.
        secret: Signs it.
        types: Of events.
        tell: Is told what became of each.

    Raises:
        DarkroomError: The front door said no, or was away too long.
    """
    # What is in the environment about proxies is meant for the world outside.
    async with httpx.AsyncClient(timeout=_TIMEOUT_S, trust_env=False) as http:
        receiver = _Receiver(http, url, secret)
        room = asyncio.Semaphore(_ABREAST)

        async def forward(event: Event) -> None:
            try:
                tell(await receiver.send(event, await _body(client, event)))
            finally:
                room.release()

        try:
            async with (
                asyncio.TaskGroup() as tasks,
                aclosing(client.events(types=types)) as events,
            ):
                async for event in events:
                    if _subject(event) is None:
                        say("some events were too old to be told any more")
                        continue
                    await room.acquire()
                    tasks.create_task(forward(event))
        except ExceptionGroup as group:
            raise group.exceptions[0] from None


class _Receiver:
    """The program on this machine."""

    def __init__(self, http: httpx.AsyncClient, url: str, secret: str) -> None:
        self._http, self._url, self._secret = http, url, secret
        self._is_away = False

    async def send(self, event: Event, body: bytes) -> Sent:
        """Send an event until somebody answers, or nobody has for a while."""
        error = ""
        for wait_s in (0.0, *_WAITS_S):
            await asyncio.sleep(wait_s)
            began = time.monotonic()
            try:
                response = await self._post(event, body)
            except httpx.RequestError as exc:
                error = str(exc) or type(exc).__name__
                self._miss(error)
                continue
            self._is_away = False
            ms = round(1000 * (time.monotonic() - began))
            return _sent(event, status=response.status_code, ms=ms, error=None)
        return _sent(event, status=None, ms=0, error=error)

    async def _post(self, event: Event, body: bytes) -> httpx.Response:
        headers = signed(
            body, event=_id_of(event), at_s=int(time.time()), secrets=[self._secret]
        )
        return await self._http.post(
            self._url,
            content=body,
            headers={**headers, "Content-Type": "application/json"},
        )

    def _miss(self, error: str) -> None:
        if not self._is_away:
            self._is_away = True
            say(f"{urlsplit(self._url).netloc} does not answer ({error})")


async def _body(client: AsyncDarkroom, event: Event) -> bytes:
    subject = str(_subject(event))
    at = event.created_at
    return orjson.dumps(
        {
            "id": _id_of(event),
            "object": "event",
            "type": event.type,
            "created_at": int(at.timestamp()) if at else None,
            "data": await _data(client, event.type, subject),
        }
    )


async def _data(client: AsyncDarkroom, type_: str, subject: str) -> Any:
    read = {"job": client.job, "batch": client.batch, "endpoint": client.endpoint}
    try:
        return (await read[type_.partition(".")[0]](subject)).raw
    except NotFound:  # deleted meanwhile
        return {"id": subject, "deleted": True}


def _subject(event: Event) -> str | None:
    """Return what an event is about; None: it only says that others were lost."""
    match event.type.partition(".")[0]:
        case "job":
            return event.job_id
        case "batch":
            return event.batch_id
        case "endpoint":
            return event.endpoint_id
    return None


def _id_of(event: Event) -> str:
    """Return what a webhook of it would have as its id, or one that is as good."""
    word = event.type.rpartition(".")[2]
    subject = str(_subject(event)).partition("_")[2]
    nth = event.id.replace("-", "") if event.type in _MANIFOLD else ""
    return f"evt_{subject}_{word}{nth}"


def _sent(event: Event, *, status: int | None, ms: int, error: str | None) -> Sent:
    return Sent(
        id=_id_of(event),
        type=event.type,
        subject=str(_subject(event)),
        created_at=event.created_at,
        status=status,
        ms=ms,
        error=error,
    )
