"""What happens to jobs and batches, as server-sent events, for as long as one likes.

The handler only finds out where a follower begins: the headers go out, then the
socket is handed to the hub, and nothing of the request is kept. Its line in the log
is written then; another, `stream.ended`, when the stream is over.
"""

import contextlib
import time
from http import HTTPStatus
from typing import NamedTuple, cast

from aiohttp import web

from service.accounts import ApiKey
from service.api.auth import authorized
from service.api.connection import Connection
from service.api.context import FRONT, TRACE, Front
from service.api.events import HEADERS
from service.api.followed import Followed, followed_batch, followed_job
from service.api.gate import sign
from service.api.references import job_id_of
from service.api.wishes import refuse_unknown
from service.core.errors import InvalidRequest
from service.events import (
    TYPES,
    Caller,
    Follower,
    Interest,
    Position,
    id_of,
    position_of,
    told,
)

routes = web.RouteTableDef()

_RETRY_MS = (1000, 3000)
_SHOWN = 64


class Beginning(NamedTuple):
    """Where a stream begins.

    Attributes:
        at: The last event its follower knows of.
        first: What is sent before all events that follow.
        is_all: Whether no event follows.
    """

    at: Position
    first: bytes
    is_all: bool = False


@routes.get("/v1/jobs/{job_id}/events")
async def follow_job(request: web.Request) -> web.StreamResponse:
    """Tell what happens to a job, from how it stands to its end."""
    key = await authorized(request)
    refuse_unknown(request, "after")
    front = request.app[FRONT]
    job_id = await job_id_of(request, key)
    job = await front.backends.jobs.get(job_id, account=key.account)
    request[TRACE].job_id = job.id
    return await _follow(request, key, followed_job(job, front.views))


@routes.get("/v1/batches/{batch_id}/events")
async def follow_batch(request: web.Request) -> web.StreamResponse:
    """Tell what happens to a batch and its jobs, from how it stands to its end."""
    key = await authorized(request)
    refuse_unknown(request, "after")
    front, batch_id = request.app[FRONT], request.match_info["batch_id"]
    batch = await front.backends.batches.get(batch_id, account=key.account)
    subject = followed_batch(batch, base_url=front.settings.base_url)
    return await _follow(request, key, subject)


@routes.get("/v1/events")
async def follow_account(request: web.Request) -> web.StreamResponse:
    """Tell what happens to all jobs, batches and endpoints of the account."""
    return await follow_all(request, await authorized(request))


async def follow_all(request: web.Request, key: ApiKey) -> web.StreamResponse:
    """Tell what happens in the key's account, wherever that was asked for.

    Raises:
        RequestError: What the query says is wrong, or the key follows enough already.
    """
    refuse_unknown(request, "after", "types")
    interest = Interest(key.account, types=_types(request))
    front, place = request.app[FRONT], _place(request)
    if place is None:
        newest = (await front.hub.log.standing(key.account)).newest
        # A client that is cut off before the first event comes again from here.
        beginning = Beginning(newest, f"id: {id_of(newest)}\n\n".encode())
    elif await _is_lost(front, key.account, place):
        newest = (await front.hub.log.standing(key.account)).newest
        beginning = Beginning(newest, told("snapshot", newest))
    else:
        beginning = Beginning(place, b"")
    return await _begun(request, key, interest, beginning)


async def _follow(
    request: web.Request, key: ApiKey, subject: Followed
) -> web.StreamResponse:
    front, place = request.app[FRONT], _place(request)
    if place is None:
        beginning = await _snapshot(front, subject)
    elif await _is_lost(front, key.account, place):
        beginning = await _snapshot(front, subject, name="snapshot")
    elif await _knows_the_end(front, subject, place):
        return web.Response(status=HTTPStatus.NO_CONTENT)
    else:
        beginning = Beginning(place, b"")
    return await _begun(request, key, Interest(key.account, subject.id), beginning)


async def _begun(
    request: web.Request, key: ApiKey, interest: Interest, beginning: Beginning
) -> web.StreamResponse:
    """Send the headers, and let the hub have the socket.

    Raises:
        TooMuch: The key has as many streams as it may.
    """
    front, trace = request.app[FRONT], request[TRACE]
    first = _retry() + beginning.first
    with front.hub.seat(key.id, most=front.settings.limits.streams) as seat:
        if beginning.is_all or request.method == "HEAD":
            return web.Response(body=first, headers=HEADERS)
        response = web.StreamResponse(headers=HEADERS)
        response.force_close()
        sign(response, trace, front)
        with contextlib.suppress(ConnectionError):
            await response.prepare(request)
            follower = Follower(
                interest,
                at=beginning.at,
                is_chunked="Transfer-Encoding" in response.headers,
                caller=Caller(key.id, trace.request_id),
            )
            transport = cast("Connection", request.protocol).hand_over(follower)
            seat.take(follower, transport, first)
    return response


async def _snapshot(
    front: Front, subject: Followed, *, name: str | None = None
) -> Beginning:
    """Begin with the subject as it stands, under its own type of event or `name`.

    Raises:
        Deleted: It went a moment ago.
    """
    record, newest = await front.hub.log.beside(subject.account, subject.record)
    if not record:
        raise subject.gone
    text, is_all = subject.event(record, newest, name)
    return Beginning(newest, text, is_all=is_all)


async def _knows_the_end(front: Front, subject: Followed, place: Position) -> bool:
    """Whether a follower who knows all up to `place` waits in vain."""
    if subject.ended_at is None:
        return False
    return await front.hub.log.has_ended(
        subject.account, subject.id, ended=subject.ended_at, by=place
    )


async def _is_lost(front: Front, account: str, place: Position) -> bool:
    """Whether some of what came after `place` cannot be told any more.

    Raises:
        InvalidRequest: It is no event of the account (`invalid_event_id`).
    """
    standing = await front.hub.log.standing(account)
    if standing.has_lost(place):
        return True
    is_known = place in (0, standing.newest)
    if not is_known and not await front.hub.log.holds(account, place):
        raise _bad_id()
    return False


def _place(request: web.Request) -> Position | None:
    """Return the last event that the caller knows of; None: he does not say.

    A browser that comes again sends the header, and the query it came with first.

    Raises:
        InvalidRequest: It is no id of an event (`invalid_event_id`).
    """
    given = request.headers.get("Last-Event-ID") or request.query.get("after")
    if not given:
        return None
    place = position_of(given)
    if place is None:
        raise _bad_id()
    return place


def _bad_id() -> InvalidRequest:
    return InvalidRequest(
        "Last-Event-ID, or after, must be the id of an event that came in a stream "
        "of this account",
        code="invalid_event_id",
    )


def _types(request: web.Request) -> frozenset[str] | None:
    given = request.query.get("types")
    if given is None:
        return None
    wanted = frozenset(name.strip() for name in given.split(","))
    for name in sorted(wanted - TYPES):
        raise InvalidRequest(
            f"{name[:_SHOWN]!r} is no type of event",
            code="invalid_enum",
            param="types",
        )
    return wanted


def _retry() -> bytes:
    """Tell clients how long to wait before they come again, not all at once."""
    least, most = _RETRY_MS
    return b"retry: %d\n\n" % (least + time.monotonic_ns() // 1000 % (most - least))
