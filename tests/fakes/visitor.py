"""Somebody with a browser's manners, and no browser: cookies, forms, `Origin`."""

import contextlib
import re
from collections.abc import AsyncIterator
from html import unescape
from typing import Any, NamedTuple

import aiohttp
from multidict import CIMultiDictProxy

from tests.fakes.door import FrontDoor

_TAGS = re.compile(r"<[^>]*>")
_SPACES = re.compile(r"\s+")


class Seen(NamedTuple):
    status: int
    headers: CIMultiDictProxy[str]
    html: str

    @property
    def text(self) -> str:
        """What a reader sees, with one space between words."""
        return _SPACES.sub(" ", unescape(_TAGS.sub(" ", self.html))).strip()


class Visitor:
    """Follows no redirect by himself, so that tests see where they lead."""

    def __init__(self, door: FrontDoor) -> None:
        self._door = door
        jar = aiohttp.CookieJar(unsafe=True)  # of an IP address
        self._http = aiohttp.ClientSession(cookie_jar=jar)

    async def close(self) -> None:
        await self._http.close()

    async def sign_in(self, secret: str, **headers: str) -> Seen:
        return await self.post("/ui/sign-in", {"key": secret}, **headers)

    async def get(self, path: str, **headers: str) -> Seen:
        return await self._call("GET", path, headers=headers)

    async def part(self, path: str) -> Seen:
        """Ask as htmx does."""
        headers = {"HX-Request": "true", "HX-Request-Type": "partial"}
        return await self._call("GET", path, headers=headers)

    async def post(self, path: str, form: Any = None, **headers: str) -> Seen:
        """Send a form; underscores in names of headers stand for dashes.

        An `Origin` that is empty is left out.
        """
        sent = {"Origin": self._door.url}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        kept = {name: value for name, value in sent.items() if value}
        data = {} if form is None else form
        return await self._call("POST", path, headers=kept, data=data)

    async def listen(self, path: str, *, until: str) -> str:
        """Follow a stream of events until it says a word; return all it said."""
        told = ""
        async with self._http.get(f"{self._door.url}{path}") as answer:
            async for line in answer.content:
                told += line.decode()
                if until in told:
                    break
        return told

    async def _call(self, method: str, path: str, **options: Any) -> Seen:
        async with self._http.request(
            method, f"{self._door.url}{path}", allow_redirects=False, **options
        ) as answer:
            return Seen(
                answer.status, answer.headers, await answer.text(errors="replace")
            )


@contextlib.asynccontextmanager
async def visitor(
    door: FrontDoor, account: str = "default", **grant: Any
) -> AsyncIterator[Visitor]:
    """Yield somebody who has signed in with a new key of the account."""
    _, secret = await door.knows(account, **grant)
    somebody = Visitor(door)
    try:
        seen = await somebody.sign_in(secret)
        assert seen.status == 303, seen.text
        yield somebody
    finally:
        await somebody.close()
