"""Lines of JSON in the body of a request, as they come; nobody waits for the last."""

from collections.abc import AsyncIterator

from aiohttp import web

from service.api.body import NDJSON, Body, media_type
from service.core.errors import InvalidRequest
from service.files.lines import Line, lines_in
from service.settings import Limits


async def lines_of(request: web.Request, *, limits: Limits) -> AsyncIterator[Line]:
    """Yield the lines of the body that are not blank; nobody has looked at them.

    Bytes that are not asked for are not read: a consumer that takes its time slows the
    sender down, and that time is not held against him.

    Args:
        request: Its body is `application/x-ndjson` or `application/jsonl`.
        limits: `batch_bytes` and `batch_lines` in all; `body_s`, and a second more for
            each `upload_bytes_per_s` that came, to wait for.

    Raises:
        InvalidRequest: `unsupported_media_type`, `unsupported_encoding` or
            `unsupported_charset`, before the first line; behind those that came whole,
            `line_too_long`, `too_many_lines`, `body_too_large`, `body_timeout` or
            `body_incomplete`.
    """
    if media_type(request) not in NDJSON:
        raise InvalidRequest(
            "Content-Type must be application/x-ndjson", code="unsupported_media_type"
        )
    body = Body(
        request,
        most_bytes=limits.batch_bytes,
        within_s=limits.body_s,
        bytes_per_s=limits.upload_bytes_per_s,
    )
    left = limits.batch_lines
    async for line in lines_in(body):
        if not left:
            raise InvalidRequest(
                f"there are more than {limits.batch_lines:,} lines",
                code="too_many_lines",
            )
        left -= 1
        yield line
