"""`/v1/batches`: batches as they stand, and their results as they come.

How one is created, `service.api.batch_creation` says.
"""

import asyncio
import contextlib
import re
import time
from collections.abc import AsyncGenerator

from aiohttp import web

from service.accounts import ApiKey
from service.api.answers import answer
from service.api.auth import authorized
from service.api.batch_results import results
from service.api.context import FRONT, TRACE, Front
from service.api.downloads import send
from service.api.listing import bad_cursor, page_of, read_limit
from service.api.outputs import Piece, pieces_of
from service.api.wishes import refuse_unknown
from service.batch_views import shown_batch
from service.batches import Batch
from service.core.errors import BatchNotFound, InvalidRequest, Unavailable

routes = web.RouteTableDef()

_COUNT = re.compile(r"[0-9]{1,9}")
_TOGETHER_S = 0.05
_LOOK_AGAIN_S = 1.0
_HEADERS = {
    "Content-Type": "application/x-ndjson",
    "Cache-Control": "private, no-store",
    "X-Accel-Buffering": "no",  # proxies that collect answers let this one through
}


@routes.get("/v1/batches")
async def list_batches(request: web.Request) -> web.Response:
    """Answer with a page of the account's batches, newest first."""
    key = await authorized(request)
    refuse_unknown(request, "after", "limit")
    front, query = request.app[FRONT], request.query
    try:
        page = await front.backends.batches.page(
            key.account, limit=read_limit(query.get("limit")), after=query.get("after")
        )
    except BatchNotFound as exc:
        raise bad_cursor("batch") from exc
    shown = (_shown(front, batch) for batch in page.batches)
    return answer(page_of(shown, more=page.more))


@routes.get("/v1/batches/{batch_id}")
async def get_batch(request: web.Request) -> web.Response:
    """Answer with the batch as it stands."""
    key, front = await authorized(request), request.app[FRONT]
    refuse_unknown(request)
    return answer(_shown(front, await _found(front, key, request)))


@routes.post("/v1/batches/{batch_id}/cancel")
async def cancel_batch(request: web.Request) -> web.Response:
    """Let nothing more of the batch begin; twice is the same as once."""
    key = await authorized(request)
    front, batch_id = request.app[FRONT], request.match_info["batch_id"]
    batch = await front.backends.batches.cancel(batch_id, account=key.account)
    return answer(_shown(front, batch))


@routes.get("/v1/batches/{batch_id}/results")
async def get_results(request: web.Request) -> web.StreamResponse:
    """Send the results there are, and with `follow` those to come."""
    key, front = await authorized(request), request.app[FRONT]
    refuse_unknown(request, "after", "follow")
    batch = await _found(front, key, request)
    after, follow = _after(request), _follow(request)
    async with contextlib.AsyncExitStack() as stack:
        if follow:
            most = front.settings.limits.streams
            stack.enter_context(front.hub.seat(key.id, most=most))
            texts = _followed(request, key, batch, after)
        else:
            texts = (piece.text async for piece in _written(front, batch, after))
        await stack.enter_async_context(contextlib.aclosing(texts))
        return await send(request, texts, headers=_HEADERS, size=None)


async def _found(front: Front, key: ApiKey, request: web.Request) -> Batch:
    batch_id = request.match_info["batch_id"]
    return await front.backends.batches.get(batch_id, account=key.account)


def _shown(front: Front, batch: Batch) -> dict[str, object]:
    return shown_batch(batch, base_url=front.settings.base_url)


async def _written(
    front: Front, batch: Batch, after: int
) -> AsyncGenerator[Piece, None]:
    async for found in results(front, batch, after=after):
        async for piece in pieces_of(front, batch, found):
            yield piece


async def _followed(
    request: web.Request, key: ApiKey, batch: Batch, after: int
) -> AsyncGenerator[bytes, None]:
    """Yield results until batch or key has ended, and a blank line now and then.

    Redis and the store may go away meanwhile, which only takes time.
    """
    front, spoke_at = request.app[FRONT], time.monotonic()
    yield b""  # the headers need not wait for the first
    with front.hub.watched(batch.account) as stirred:
        request[TRACE].hung_up = stirred.set
        while request.transport is not None:
            if not await front.backends.accounts.is_good(key.id):
                return
            stirred.clear()
            with contextlib.suppress(Unavailable):
                batch = await front.backends.batches.get(
                    batch.id, account=batch.account
                )
                async for piece in _written(front, batch, after):
                    yield piece.text
                    after, spoke_at = after + piece.results, time.monotonic()
                if batch.state.is_final or front.pulse.draining:
                    return
            silent_s = time.monotonic() - spoke_at
            if silent_s >= front.settings.heartbeat_s:
                yield b"\n"
                silent_s, spoke_at = 0.0, time.monotonic()
            left_s = front.settings.heartbeat_s - silent_s
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(_LOOK_AGAIN_S, left_s)):
                    await stirred.wait()
                await asyncio.sleep(_TOGETHER_S)  # more of them end about now


def _after(request: web.Request) -> int:
    given = request.query.get("after", "0")
    if not _COUNT.fullmatch(given):
        raise InvalidRequest(
            "after must be how many results you have",
            code="out_of_range",
            param="after",
        )
    return int(given)


def _follow(request: web.Request) -> bool:
    match request.query.get("follow", "false"):
        case "true":
            return True
        case "false":
            return False
    raise InvalidRequest(
        "follow must be true or false", code="invalid_enum", param="follow"
    )
