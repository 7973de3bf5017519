"""The one way out: every HTTP call that this process makes to others.

Two kinds of addresses are told apart. The operator's own (a provider's base URL)
are called as they are, and may well be `http://localhost`. Those that users and
providers name are called only on the public internet: the check sees the address
of the socket itself, at the moment it connects, so that neither a name that
resolves twice nor a number in disguise gets past it.
"""

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from types import TracebackType
from typing import Any, Self

import aiohttp
import orjson
from yarl import URL

from service import settings
from service.guard import Guard
from service.outbound.answers import (
    Answer,
    NoAnswer,
    NotAllowed,
    NotSent,
    OutboundError,
    TooLong,
    WrongAnswer,
)
from service.outbound.calling import REDIRECTS, Sink, call, open_session
from service.outbound.forms import File, Form, multipart
from service.outbound.telling import Untold, tell

__all__ = [
    "MAX_BYTES",
    "Answer",
    "File",
    "Form",
    "NoAnswer",
    "NotAllowed",
    "NotSent",
    "Outbound",
    "OutboundError",
    "Sink",
    "TooLong",
    "Untold",
    "WrongAnswer",
]

MAX_BYTES = 32 * 1024 * 1024
"""Longest answer that is read, unless the caller says otherwise."""

_HOPS = 3


class Outbound:
    """Opened once per process: `async with Outbound(settings.outbound) as outbound`.

    Neither cookies nor proxies of the environment are used, and the number of
    connections is left to the callers, who count their calls themselves.

    Args:
        rules: What strangers' URLs may lead to.
        resolver: Finds addresses for the names in them; None: the system's.
    """

    def __init__(
        self,
        rules: settings.Outbound,
        *,
        resolver: aiohttp.abc.AbstractResolver | None = None,
    ) -> None:
        self._rules, self._resolver = rules, resolver
        self._trusted: aiohttp.ClientSession
        self._guarded: aiohttp.ClientSession
        self._telling: aiohttp.ClientSession

    async def __aenter__(self) -> Self:
        self._trusted = open_session(aiohttp.TCPConnector(limit=0))
        self._guarded = open_session(self._guarded_connector())
        self._telling = open_session(self._guarded_connector(), traced=False)
        return self

    def _guarded_connector(self) -> aiohttp.TCPConnector:
        guard = Guard(tuple(self._rules.allowed_networks))
        return aiohttp.TCPConnector(
            limit=0, socket_factory=guard, resolver=self._resolver
        )

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._trusted.close()
        await self._guarded.close()
        await self._telling.close()

    async def send(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        payload: Any = None,
        form: Form | None = None,
        same_origin_as: str | None = None,
        within: timedelta,
        max_bytes: int = MAX_BYTES,
        sink: Sink | None = None,
    ) -> Answer:
        """Call a URL of the operator's, or one that a provider named.

        Redirects are not followed.

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
            sink: Where the body of an answer that went well goes; None: into it.

        Raises:
            NotSent: It never left, and the other side knows nothing of it; NotAllowed
                where it may not be called.
            NoAnswer: It left, and what became of it nobody knows.
            WrongAnswer: The answer is too long.
        """
        session, target = self._trusted, _parsed(url)
        if same_origin_as is not None:
            session = self._session_for(target, URL(same_origin_as).origin())
        if payload is not None:
            headers = {**headers, "Content-Type": "application/json"}
        return await call(
            session,
            method,
            target,
            headers=headers,
            body=_body(payload, form),
            deadline=_deadline(within),
            max_bytes=max_bytes,
            sink=sink,
        )

    async def tell(
        self,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes,
        within: timedelta,
    ) -> Answer:
        """POST `body` to a URL that a user named; redirects are answers like others.

        Args:
            url: Where to; it goes out as it stands.
            headers: Beyond our own.
            body: What to send.
            within: Time for everything.

        Returns:
            The status, and at most 1 KiB of what is said with it.

        Raises:
            Untold: No answer came.
        """
        try:
            target = URL(url, encoded=True)
            self._check(target)
        except (ValueError, NotAllowed) as exc:
            raise Untold("blocked_address") from exc
        deadline = _deadline(within)
        return await tell(
            self._telling, target, headers=headers, body=body, deadline=deadline
        )

    async def download(
        self,
        url: str,
        *,
        same_origin_as: str | None = None,
        within: timedelta = timedelta(seconds=60),
        max_bytes: int = MAX_BYTES,
    ) -> bytes:
        """Return what lies under a URL that somebody else named; see `fetch`.

        Args:
            url: Where from.
            same_origin_as: A URL of the operator's; one of its origin is trusted.
            within: Time for everything, redirects included.
            max_bytes: Longest body that is read.

        Raises:
            OutboundError: There is nothing to be had; NotAllowed when not allowed.
        """
        origin = None if same_origin_as is None else URL(same_origin_as).origin()
        chunks = list[bytes]()

        async def keep(chunk: bytes) -> None:
            chunks.append(chunk)

        await self._get(url, keep, origin, _deadline(within), max_bytes)
        return b"".join(chunks)

    async def fetch(
        self, url: str, sink: Sink, *, within: timedelta, max_bytes: int
    ) -> None:
        """Pour what lies under a URL that somebody else named into `sink`.

        Up to three redirects are followed, and each is checked anew. The sink may
        have got a part of the body when it turns out that there is no whole.

        Args:
            url: Where from.
            sink: Where to.
            within: Time for everything, redirects included.
            max_bytes: Longest body that is read.

        Raises:
            OutboundError: See `download`.
        """
        await self._get(url, sink, None, _deadline(within), max_bytes)

    async def _get(
        self,
        url: str,
        sink: Sink,
        trusted: URL | None,
        deadline: float,
        max_bytes: int,
    ) -> None:
        target = _parsed(url)
        for _ in range(_HOPS + 1):
            answer = await call(
                self._session_for(target, trusted),
                "GET",
                target,
                deadline=deadline,
                max_bytes=max_bytes,
                sink=sink,
            )
            if answer.status not in REDIRECTS:
                break
            target = target.join(_parsed(answer.headers.get("Location", "")))
        if not answer.ok:
            raise WrongAnswer("the answer is an error, or one redirect too many")

    def _session_for(self, url: URL, trusted: URL | None) -> aiohttp.ClientSession:
        if trusted is not None and url.is_absolute() and url.origin() == trusted:
            return self._trusted
        self._check(url)
        return self._guarded

    def _check(self, url: URL) -> None:
        schemes = {"https", "http"} if self._rules.allow_http else {"https"}
        try:
            plain = url.host and not (url.user or url.password)
        except ValueError as exc:  # a host of IDNA's that IDNA cannot read
            raise NotAllowed("the URL cannot be read") from exc
        if url.scheme not in schemes or not plain:
            raise NotAllowed("the URL is not one that may be called")


def _deadline(within: timedelta) -> float:
    return asyncio.get_running_loop().time() + within.total_seconds()


def _body(payload: Any, form: Form | None) -> bytes | aiohttp.FormData | None:
    if payload is not None:
        return orjson.dumps(payload)
    return None if form is None else multipart(form)


def _parsed(text: str) -> URL:
    try:
        return URL(text)
    except ValueError as exc:
        raise NotAllowed("the URL cannot be read") from exc
