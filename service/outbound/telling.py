"""One POST to a URL that a user named: what it came to, in a word and in a few bytes.

Nobody needs what a receiver answers, but its owner, who looks for a mistake: so the
beginning of it is enough, and the rest is not even read.
"""

import asyncio
import ssl
from collections.abc import Mapping
from typing import Literal

import aiohttp
from yarl import URL

from service.guard import AddressRefused
from service.outbound.answers import Answer, OutboundError
from service.tracing import carried

_MOST = 1024

Trouble = Literal["blocked_address", "timeout", "connection", "tls"]


class Untold(OutboundError):
    """No answer came.

    Attributes:
        kind: `blocked_address` (it leads where it may not), `timeout`, `tls`, or
            `connection` for whatever else there is.
    """

    def __init__(self, kind: Trouble) -> None:
        super().__init__(kind)
        self.kind = kind


async def tell(
    session: aiohttp.ClientSession,
    url: URL,
    *,
    headers: Mapping[str, str],
    body: bytes,
    deadline: float,
) -> Answer:
    """POST `body`; return the status and at most 1 KiB of what is said with it.

    Redirects are answers like others. An answer whose status has come counts, even
    if the rest of it does not.

    Args:
        session: Behind the guard; what was sent of a call that failed is no matter.
        url: Where to.
        headers: Beside those of the session.
        body: What to send.
        deadline: On the loop's clock, for everything.

    Raises:
        Untold: No answer came.
    """
    try:
        async with (
            asyncio.timeout_at(deadline),
            session.post(
                url,
                data=body,
                headers={**headers, **carried()},
                allow_redirects=False,
            ) as response,
        ):
            content = b""
            if not response.content.at_eof():
                content = await _beginning(response, deadline)
            return Answer(response.status, response.headers, content)
    except (aiohttp.ClientError, OSError, ValueError) as exc:
        raise Untold(_trouble(exc)) from exc


async def _beginning(response: aiohttp.ClientResponse, deadline: float) -> bytes:
    content, read = response.content, bytearray()
    try:
        # A little before the deadline of it all, which would take the status along.
        async with asyncio.timeout_at(deadline - _SPARE_S):
            while len(read) < _MOST and (chunk := await content.read(_MOST)):
                read += chunk
    except (TimeoutError, aiohttp.ClientError, OSError):
        response.close()
    if not content.at_eof():
        response.close()
    return bytes(read[:_MOST])


_SPARE_S = 0.05


def _trouble(exc: Exception) -> Trouble:
    if isinstance(getattr(exc, "os_error", None), AddressRefused):
        return "blocked_address"
    if isinstance(exc, TimeoutError):
        return "timeout"
    if isinstance(exc, aiohttp.ClientSSLError | ssl.SSLError):
        return "tls"
    return "connection"
