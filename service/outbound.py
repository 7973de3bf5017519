"""The one way out: every HTTP call that this process makes to others.

Two kinds of addresses are told apart. The operator's own (a provider's base URL)
are called as they are, and may well be `http://localhost`. Those that users and
providers name are called only on the public internet: the check sees the address
of the socket itself, at the moment it connects, so that neither a name that
resolves twice nor a number in disguise gets past it.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from types import SimpleNamespace, TracebackType
from typing import Any, Self

import aiohttp
import orjson
from yarl import URL

from service import settings
from service.guard import AddressRefused, Guard

MAX_BYTES = 32 * 1024 * 1024
"""Longest answer that is read, unless the caller says otherwise."""

_CONNECT = timedelta(seconds=10)
_HOPS = 3
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_HEADERS = {"User-Agent": "darkroom", "Accept-Encoding": "identity"}


class OutboundError(Exception):
    """A call came to nothing; callers turn it into an error of their own."""


class NotSent(OutboundError):
    """Nothing has left this process: name, connection, TLS, or time ran out first."""


class NotAllowed(NotSent):
    """The URL leads where URLs of its kind may not lead."""


class NoAnswer(OutboundError):
    """The request was sent, and no answer came that could be read to its end."""


class WrongAnswer(OutboundError):
    """An answer came that is of no use: too long, or not what was asked for."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the other side said, read to its end."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)

    @property
    def ok(self) -> bool:
        """Whether the status says that it went well."""
        return self.status in range(200, 300)

    def json_object(self) -> dict[str, Any] | None:
        """Return the body as a JSON object; None when it is none."""
        try:
            value = orjson.loads(self.body)
        except orjson.JSONDecodeError:
            return None
        return value if isinstance(value, dict) else None


@dataclass(frozen=True, slots=True)
class File:
    """A file of a multipart body."""

    data: bytes = field(repr=False)
    content_type: str
    filename: str


Form = Sequence[tuple[str, str | File]]
"""Fields and files of a multipart body, in order; names may repeat."""


class Outbound:
    """Opened once per process: `async with Outbound(settings.outbound) as outbound`.

    Neither cookies nor proxies of the environment are used, and the number of
    connections is left to the callers, who count their calls themselves.
    """

    def __init__(self, rules: settings.Outbound) -> None:
        self._rules = rules
        self._trusted: aiohttp.ClientSession
        self._guarded: aiohttp.ClientSession

    async def __aenter__(self) -> Self:
        self._trusted = _session(aiohttp.TCPConnector(limit=0))
        guard = Guard(tuple(self._rules.allowed_networks))
        self._guarded = _session(aiohttp.TCPConnector(limit=0, socket_factory=guard))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._trusted.close()
        await self._guarded.close()

    async def post_json(
        self,
        url: str,
        *,
        headers: Mapping[str, str],
        payload: Mapping[str, Any],
        within: timedelta,
        max_bytes: int = MAX_BYTES,
    ) -> Answer:
        """POST `payload` to a URL of the operator's; redirects are not followed.

        Args:
            url: Where to; it is not checked.
            headers: Beyond those of JSON.
            payload: What orjson can write.
            within: Time for everything, the reading of the answer included.
            max_bytes: Longest answer that is read.

        Raises:
            NotSent: It never left; the other side knows nothing of it.
            NoAnswer: It left, and what became of it nobody knows.
            WrongAnswer: The answer is too long.
        """
        return await _call(
            self._trusted,
            "POST",
            URL(url),
            headers={**headers, "Content-Type": "application/json"},
            body=orjson.dumps(payload),
            deadline=_deadline(within),
            max_bytes=max_bytes,
        )

    async def send(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        payload: Any = None,
        form: "Form | None" = None,
        same_origin_as: str | None = None,
        within: timedelta,
        max_bytes: int = MAX_BYTES,
    ) -> Answer:
        """Call a URL of the operator's, or one that a provider named.

        Args:
            method: `GET`, `POST`, `PUT` or `DELETE`.
            url: Where to.
            headers: Beyond those of the body.
            payload: What orjson can write, sent as JSON.
            form: Sent as a multipart body instead.
            same_origin_as: A URL of the operator's, where somebody else named `url`:
                one of its origin is trusted, others go through the guard.
            within: Time for everything, the reading of the answer included.
            max_bytes: Longest answer that is read.

        Raises:
            OutboundError: See `post_json`; NotAllowed when not allowed.
        """
        session, target = self._trusted, _parsed(url)
        if same_origin_as is not None:
            session = self._session_for(target, URL(same_origin_as).origin())
        body: Any = None
        if payload is not None:
            headers = {**headers, "Content-Type": "application/json"}
            body = orjson.dumps(payload)
        elif form is not None:
            body = _multipart(form)
        return await _call(
            session,
            method,
            target,
            headers=headers,
            body=body,
            deadline=_deadline(within),
            max_bytes=max_bytes,
        )

    async def download(
        self,
        url: str,
        *,
        same_origin_as: str | None = None,
        within: timedelta = timedelta(seconds=60),
        max_bytes: int = MAX_BYTES,
    ) -> bytes:
        """Return what lies under a URL that somebody else named.

        Up to three redirects are followed, and each is checked anew.

        Args:
            url: Where from.
            same_origin_as: A URL of the operator's; one of its origin is trusted.
            within: Time for everything, redirects included.
            max_bytes: Longest body that is read.

        Raises:
            OutboundError: There is nothing to be had; NotAllowed when not allowed.
        """
        origin = None if same_origin_as is None else URL(same_origin_as).origin()
        target, deadline = _parsed(url), _deadline(within)
        for _ in range(_HOPS + 1):
            answer = await _call(
                self._session_for(target, origin),
                "GET",
                target,
                deadline=deadline,
                max_bytes=max_bytes,
            )
            if answer.status not in _REDIRECTS:
                break
            target = target.join(_parsed(answer.headers.get("Location", "")))
        if not answer.ok:
            raise WrongAnswer("the answer is an error, or one redirect too many")
        return answer.body

    def _session_for(self, url: URL, trusted: URL | None) -> aiohttp.ClientSession:
        if trusted is not None and url.is_absolute() and url.origin() == trusted:
            return self._trusted
        schemes = {"https", "http"} if self._rules.allow_http else {"https"}
        if url.scheme not in schemes or not url.host or url.user or url.password:
            raise NotAllowed("the URL is not one that may be called")
        return self._guarded


def _session(connector: aiohttp.TCPConnector) -> aiohttp.ClientSession:
    trace = aiohttp.TraceConfig()
    trace.on_request_headers_sent.append(_mark_sent)
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        headers=_HEADERS,
        timeout=aiohttp.ClientTimeout(total=None, connect=_CONNECT.total_seconds()),
        trace_configs=[trace],
    )


async def _mark_sent(
    _: aiohttp.ClientSession,
    context: SimpleNamespace,
    __: aiohttp.TraceRequestHeadersSentParams,
) -> None:
    context.trace_request_ctx.sent = True


async def _call(
    session: aiohttp.ClientSession,
    method: str,
    url: URL,
    *,
    deadline: float,
    max_bytes: int,
    headers: Mapping[str, str] | None = None,
    body: bytes | aiohttp.FormData | None = None,
) -> Answer:
    progress = SimpleNamespace(sent=False)
    try:
        async with (
            asyncio.timeout_at(deadline),
            session.request(
                method,
                url,
                data=body,
                headers=headers,
                allow_redirects=False,
                trace_request_ctx=progress,
            ) as response,
        ):
            content = await _read(response, max_bytes)
            return Answer(response.status, response.headers, content)
    # ValueError: a host name that IDNA cannot encode comes out of the resolver so.
    except (aiohttp.ClientError, OSError, ValueError) as exc:
        if isinstance(getattr(exc, "os_error", None), AddressRefused):
            raise NotAllowed("the address is not one that may be called") from exc
        if progress.sent:
            raise NoAnswer("no answer came") from exc
        raise NotSent("there is no connection") from exc


async def _read(response: aiohttp.ClientResponse, max_bytes: int) -> bytes:
    too_long = WrongAnswer(f"the answer is longer than {max_bytes} bytes")
    if (response.content_length or 0) > max_bytes:
        raise too_long
    chunks, size = [], 0
    async for chunk in response.content.iter_any():
        chunks.append(chunk)
        size += len(chunk)
        if size > max_bytes:
            raise too_long
    return b"".join(chunks)


def _deadline(within: timedelta) -> float:
    return asyncio.get_running_loop().time() + within.total_seconds()


def _parsed(text: str) -> URL:
    try:
        return URL(text)
    except ValueError as exc:
        raise NotAllowed("the URL cannot be read") from exc


def _multipart(form: Form) -> aiohttp.FormData:
    # Without a file aiohttp would send a form of another kind.
    body = aiohttp.FormData(default_to_multipart=True)
    for name, value in form:
        if isinstance(value, File):
            body.add_field(
                name,
                value.data,
                content_type=value.content_type,
                filename=value.filename,
            )
        else:
            body.add_field(name, value)
    return body
