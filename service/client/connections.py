"""How a request goes over the wire by httpx: to which URL, with which key, how long."""

import math
import os
import ssl
from collections.abc import Callable
from functools import cache
from typing import Any
from urllib.parse import urlsplit

import httpx

from service.client.bodies import Lines, body_options
from service.client.errors import DarkroomError
from service.client.steps import Request

_HERE = ("all://127.0.0.1", "all://localhost", "all://[::1]")
_USUAL_URL = "http://127.0.0.1:8080"
_ANSWER_S = 20.0
_CONNECT_S = 5.0
_DOOR_WIDTH = 8
_ANY_NUMBER = httpx.Limits(max_connections=None, max_keepalive_connections=20)

Options = dict[str, Any]
"""The arguments of `httpx.Client.build_request`."""


class Target:
    """A front door, and a key to it.

    Args:
        url: None: what DARKROOM_URL says, else that of a `darkroom up` on this machine.
        key: None: what DARKROOM_API_KEY says.

    Raises:
        DarkroomError: The URL is none, or there is no key.
    """

    def __init__(self, url: str | None, key: str | None) -> None:
        self._url = (url or os.environ.get("DARKROOM_URL") or _USUAL_URL).rstrip("/")
        self.host = _host(self._url)
        key = (key or os.environ.get("DARKROOM_API_KEY", "")).strip()
        if not key:
            raise DarkroomError("there is no API key: set DARKROOM_API_KEY")
        if not key.isascii() or not key.isprintable() or " " in key:
            raise DarkroomError("what should be the API key is none")
        self._authorization = f"Bearer {key}"

    def options(self, request: Request, lines: Callable[[Lines], Any]) -> Options:
        """Return how httpx builds the request; the key goes to the front door only."""
        is_ours = request.path.startswith("/")
        options = body_options(request.body, lines)
        options["method"] = request.method
        options["url"] = self._url + request.path if is_ours else request.path
        params = {k: v for k, v in request.params.items() if v is not None}
        if params:  # an empty one would take the URL's own query away
            options["params"] = params
        headers = {**request.headers, **options.get("headers", {})}
        if is_ours:
            headers["Authorization"] = self._authorization
        options["headers"] = headers
        options["timeout"] = httpx.Timeout(
            _ANSWER_S + request.held_s, connect=_CONNECT_S, pool=None
        )
        return options


class Door:
    """Connections for those who block; threads may share it."""

    def __init__(self) -> None:
        self._http = httpx.Client(limits=_ANY_NUMBER, **_client_options())

    def send(self, options: Options, *, is_stream: bool) -> httpx.Response:
        """Send a request; only a stream's success is not read to its end.

        Raises:
            httpx.RequestError: There is no answer.
        """
        request = self._http.build_request(**options)
        may_move = request.method == "GET"
        response = self._http.send(request, stream=is_stream, follow_redirects=may_move)
        if not response.is_success:
            response.read()
        return response

    def close(self) -> None:
        """Hang up."""
        self._http.close()


class Doors:
    """Connections for those who await; httpx takes time quadratic in one client's.

    Args:
        connections: How many calls may be under way at once; streams do not count.
    """

    def __init__(self, connections: int) -> None:
        count = math.ceil(connections / _DOOR_WIDTH)
        narrow = httpx.Limits(max_connections=_DOOR_WIDTH)
        self._doors = [_AsyncDoor(narrow) for _ in range(count)]
        self._streams = _AsyncDoor(_ANY_NUMBER)

    async def send(self, options: Options, *, is_stream: bool) -> httpx.Response:
        """Send a request by the door with the least to do; see `Door.send`."""
        calls = min(self._doors, key=lambda door: door.busy)
        door = self._streams if is_stream else calls
        return await door.send(options, is_stream=is_stream)

    async def aclose(self) -> None:
        """Hang up."""
        for door in (*self._doors, self._streams):
            await door.http.aclose()


class _AsyncDoor:
    def __init__(self, limits: httpx.Limits) -> None:
        self.busy = 0
        self.http = httpx.AsyncClient(limits=limits, **_client_options())

    async def send(self, options: Options, *, is_stream: bool) -> httpx.Response:
        request = self.http.build_request(**options)
        may_move = request.method == "GET"
        self.busy += 1
        try:
            response = await self.http.send(
                request, stream=is_stream, follow_redirects=may_move
            )
            if not response.is_success:
                await response.aread()
        finally:
            self.busy -= 1
        return response


def _client_options() -> dict[str, Any]:
    # A proxy for the world outside has no business on this machine.
    return {"verify": _tls(), "mounts": dict.fromkeys(_HERE)}


def _host(url: str) -> str:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise DarkroomError(f"{url} is no http:// or https:// URL")
    return parts.netloc.rpartition("@")[2]


@cache
def _tls() -> ssl.SSLContext:
    return httpx.create_ssl_context()
