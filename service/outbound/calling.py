"""One HTTP call: what was sent, what came back, and who knows of it."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from types import SimpleNamespace
from typing import TypeAlias

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from service.guard import AddressRefused
from service.outbound.answers import Answer, NoAnswer, NotAllowed, NotSent, TooLong
from service.tracing import carried

REDIRECTS = frozenset({301, 302, 303, 307, 308})
_CONNECT_S = 10.0
_MOST_REASON = 65_536
"""Of what is said instead of a body that was to be poured into a sink."""
_HEADERS = {"User-Agent": "darkroom", "Accept-Encoding": "identity"}

Sink: TypeAlias = Callable[[bytes], Awaitable[None]]
"""Takes the body of an answer that went well, chunk by chunk."""


def open_session(
    connector: aiohttp.TCPConnector, *, traced: bool = True
) -> aiohttp.ClientSession:
    """Return a session without cookies, retries or limits of its own.

    Args:
        connector: Makes its connections.
        traced: Whether `call` can tell what was sent; that costs a little each time.
    """
    trace = aiohttp.TraceConfig()
    trace.on_request_headers_sent.append(_mark_sent)
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        headers=_HEADERS,
        timeout=aiohttp.ClientTimeout(total=None, connect=_CONNECT_S),
        trace_configs=[trace] if traced else None,
    )


async def _mark_sent(
    _: aiohttp.ClientSession,
    context: SimpleNamespace,
    __: aiohttp.TraceRequestHeadersSentParams,
) -> None:
    context.trace_request_ctx.sent = True


async def call(
    session: aiohttp.ClientSession,
    method: str,
    url: URL,
    *,
    deadline: float,
    max_bytes: int,
    headers: Mapping[str, str] | None = None,
    body: bytes | aiohttp.FormData | None = None,
    sink: Sink | None = None,
) -> Answer:
    """Make one call; redirects are not followed, nor are their bodies read.

    Args:
        session: Opened by `open_session`.
        method: Of HTTP.
        url: Where to.
        deadline: On the loop's clock, for everything.
        max_bytes: Longest body that is read.
        headers: Beside those of the session.
        body: What to send.
        sink: Where the body goes, if all is well; None: into the answer.

    Raises:
        NotAllowed: The address is not one that may be called.
        NotSent: Nothing has left.
        NoAnswer: It left, and what became of it nobody knows.
        TooLong: The body is longer than that.
    """
    progress = SimpleNamespace(sent=False)
    try:
        async with (
            asyncio.timeout_at(deadline),
            session.request(
                method,
                url,
                data=body,
                headers={**(headers or {}), **carried()},
                allow_redirects=False,
                trace_request_ctx=progress,
            ) as response,
        ):
            content = b""
            if response.status not in REDIRECTS:
                content = await _read(response, max_bytes, sink)
            return Answer(response.status, _text_of(response.headers), content)
    # ValueError: a host name that IDNA cannot encode comes out of the resolver so.
    except (aiohttp.ClientError, OSError, ValueError) as exc:
        if isinstance(getattr(exc, "os_error", None), AddressRefused):
            raise NotAllowed("the address is not one that may be called") from exc
        if progress.sent:
            raise NoAnswer("no answer came") from exc
        raise NotSent("there is no connection") from exc


def _text_of(headers: Mapping[str, str]) -> Mapping[str, str]:
    """Return headers that can be written down: bytes that are no UTF-8 are replaced.

    aiohttp has such bytes stand as surrogates, at which every encoder stops later on.
    """
    return CIMultiDict(
        (name, value.encode(errors="surrogateescape").decode(errors="replace"))
        for name, value in headers.items()
    )


async def _read(
    response: aiohttp.ClientResponse, max_bytes: int, sink: Sink | None
) -> bytes:
    too_long = TooLong(f"the answer is longer than {max_bytes} bytes")
    if (response.content_length or 0) > max_bytes:
        raise too_long
    chunks, size = [], 0
    async for chunk in response.content.iter_any():
        size += len(chunk)
        if size > max_bytes:
            raise too_long
        if sink is not None and response.ok:
            await sink(chunk)
        elif sink is None or size <= _MOST_REASON:
            chunks.append(chunk)
    return b"".join(chunks)
