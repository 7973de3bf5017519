"""The front door as the commands see it: a client that knows what may pass later.

Every call that makes something carries an idempotency key, so that sending it again
after silence joins the same job instead of buying another.
"""

import asyncio
import math
import ssl
import time
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Self
from urllib.parse import quote, urlsplit

import httpx

from service.cli.failure import Failure
from service.cli.target import Target
from service.cli.trouble import Trouble

_UNFINISHED = frozenset({"queued", "running"})
_HERE = ("all://127.0.0.1", "all://localhost", "all://[::1]")
_AT_ONCE_S = 0.25
_LONGEST_ASKED_S = 600.0
"""Asked to wait longer than this (a quota, mostly), a command gives up."""
_ANSWER_S = 20.0
_POLL_S = 30
_DOOR_WIDTH = 8
_SAY_EVERY_S = 30.0


class Api:
    """HTTP to one front door; a context manager.

    Args:
        patience_s: How long it may be away before a call gives up.
        connections: How many calls may be under way at once.
        say: Is told, now and then, why nothing goes on.
    """

    def __init__(
        self,
        target: Target,
        *,
        patience_s: float,
        connections: int = 10,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._target, self._patience_s, self._say = target, patience_s, say
        self._silent_until = 0.0
        self._doors = [_Door() for _ in range(math.ceil(connections / _DOOR_WIDTH))]

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for door in self._doors:
            await door.http.aclose()

    async def get(
        self, path: str, *, params: Mapping[str, str | int] | None = None
    ) -> dict[str, Any]:
        """Return the JSON at `path`.

        Raises:
            Refused: The front door said no.
            Failure: It was away too long.
        """
        return await self._json("GET", path, params=params)

    async def submit(
        self, body: Mapping[str, Any], *, idempotency_key: str
    ) -> dict[str, Any]:
        """Submit a job, or join the one that the key has made; raises as `get`."""
        headers = {"Idempotency-Key": idempotency_key}
        return await self._json("POST", "/v1/jobs", json=body, headers=headers)

    async def job(self, job_id: str) -> dict[str, Any]:
        """Return a job as it stands; raises as `get`."""
        return await self.get(f"/v1/jobs/{quote(job_id, safe='')}")

    async def cancel(self, job_id: str) -> dict[str, Any]:
        """Make a job canceled; raises as `get`."""
        return await self._json("POST", f"/v1/jobs/{quote(job_id, safe='')}/cancel")

    async def release(self, job_id: str) -> dict[str, Any]:
        """Let a held job go on; raises as `get`."""
        return await self._json("POST", f"/v1/jobs/{quote(job_id, safe='')}/release")

    async def finished(self, job: dict[str, Any]) -> dict[str, Any]:
        """Return the job once it is final; raises as `get`."""
        may_ask_at = 0.0
        while job["status"] in _UNFINISHED:
            # A front door that drains does not hold the call.
            await asyncio.sleep(max(0.0, may_ask_at - time.monotonic()))
            may_ask_at = time.monotonic() + _AT_ONCE_S
            job = await self._json(
                "GET",
                f"/v1/jobs/{job['id']}",
                params={"wait": _POLL_S},
                timeout=_ANSWER_S + _POLL_S,
            )
        return job

    async def download(self, url: str) -> bytes:
        """Return what a signed URL reads; the API key stays here. Raises as `get`."""
        return (await self._answer("GET", url)).content

    async def _json(self, method: str, path: str, **given: Any) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self._target.key}"}
        headers.update(given.pop("headers", {}))
        url = self._target.url + path
        response = await self._answer(method, url, headers=headers, **given)
        try:
            body = response.json()
        except ValueError:
            body = None
        if not isinstance(body, dict):
            raise Failure(f"{self._target.url} does not answer like Darkroom")
        return body

    async def _answer(self, method: str, url: str, **given: Any) -> httpx.Response:
        trouble = Trouble()
        while True:
            try:
                door = min(self._doors, key=lambda door: door.busy)
                response = await door.request(method, url, **given)
            except httpx.TransportError as exc:
                trouble.unheard(exc)
            else:
                if response.is_success:
                    return response
                trouble.turned_away(response)
            await self._pause(trouble)

    async def _pause(self, trouble: Trouble) -> None:
        host = urlsplit(self._target.url).netloc
        wait_s = trouble.wait_s
        gone_s = time.monotonic() - trouble.since + wait_s
        if trouble.asked_s > _LONGEST_ASKED_S or gone_s > self._patience_s:
            raise Failure(f"{host} {trouble.reason}")
        if trouble.tries > 1 and time.monotonic() > self._silent_until:
            self._silent_until = time.monotonic() + _SAY_EVERY_S
            self._say(f"{host} {trouble.reason}; trying again")
        await asyncio.sleep(wait_s)


class _Door:
    """A few connections; httpx takes time quadratic in how many one client has."""

    def __init__(self) -> None:
        self.busy = 0
        self.http = httpx.AsyncClient(
            verify=_tls(),
            timeout=httpx.Timeout(_ANSWER_S, connect=5, pool=None),
            limits=httpx.Limits(max_connections=_DOOR_WIDTH),
            follow_redirects=True,
            # A proxy for the world outside has no business on this machine.
            mounts=dict.fromkeys(_HERE),
        )

    async def request(self, method: str, url: str, **given: Any) -> httpx.Response:
        self.busy += 1
        try:
            return await self.http.request(method, url, **given)
        finally:
            self.busy -= 1


@cache
def _tls() -> ssl.SSLContext:
    return httpx.create_ssl_context()
