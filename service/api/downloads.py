"""Content that is too large for memory, sent while it is read.

The first piece is read before anything is sent, so that what is wrong by then has a
status of its own. What goes wrong behind it can only be told by cutting the caller
off: he sees that his copy is not whole.
"""

from collections.abc import AsyncIterator, Mapping

import structlog
from aiohttp import web

from service.api.connection import SLICE
from service.api.context import FRONT, TRACE
from service.api.gate import sign
from service.core.errors import ServiceError

log = structlog.get_logger()


async def send(
    request: web.Request,
    pieces: AsyncIterator[bytes],
    *,
    headers: Mapping[str, str],
    size: int | None,
) -> web.StreamResponse:
    """Answer a GET with `pieces`, or a HEAD without.

    Args:
        request: As it came.
        pieces: May raise a ServiceError.
        headers: Of the answer.
        size: Bytes in all; None: nobody knows before they are sent.

    Raises:
        ServiceError: There is no first piece.
    """
    known = {} if size is None else {"Content-Length": str(size)}
    if request.method == "HEAD":
        return web.Response(headers={**headers, **known})
    piece = await anext(pieces, b"")
    response, trace = web.StreamResponse(headers={**headers, **known}), request[TRACE]
    sign(response, trace, request.app[FRONT])
    try:
        await response.prepare(request)
        await _write(response, piece)
        async for piece in pieces:
            await _write(response, piece)
        await response.write_eof()
    except ConnectionError:
        log.info("download.abandoned", request_id=trace.request_id)
    except ServiceError as exc:
        trace.code = exc.code
        log.warning("download.broken", request_id=trace.request_id, code=exc.code)
        if request.transport is not None:
            request.transport.abort()
    return response


async def _write(response: web.StreamResponse, piece: bytes) -> None:
    whole = memoryview(piece)
    for at in range(0, len(piece), SLICE):
        await response.write(whole[at : at + SLICE])
