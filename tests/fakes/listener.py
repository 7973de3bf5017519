"""Somebody who follows events, as a browser would, and notes all that comes."""

import contextlib
import re
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import aiohttp
import orjson

from tests.fakes.door import SECRET


class Frame(NamedTuple):
    """What stands between two empty lines; a comment has neither name nor data."""

    name: str = ""
    id: str = ""
    data: Any = None
    retry: str = ""
    comment: str = ""


class Heard:
    """One answer, read as it comes.

    Attributes:
        last_id: Of the last event, or where the answer began.
    """

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self.status, self.headers = response.status, response.headers
        self.last_id = ""
        self._response = response

    async def frames(self) -> AsyncIterator[Frame]:
        """Yield all that comes, to the end."""
        while text := await _paragraph(self._response.content):
            frame = _read(text)
            self.last_id = frame.id or self.last_id
            yield frame

    async def events(self) -> AsyncIterator[Frame]:
        """Yield events; skip what only keeps the connection."""
        async for frame in self.frames():
            if frame.name:
                yield frame

    async def next(self, count: int = 1) -> list[Frame]:
        """Return so many events."""
        found: list[Frame] = []
        async for event in self.events():
            found.append(event)
            if len(found) == count:
                break
        return found

    async def rest(self) -> list[Frame]:
        """Return the events up to the end."""
        return [event async for event in self.events()]


@contextlib.asynccontextmanager
async def listening(
    url: str, path: str, *, secret: str = SECRET, last_id: str | None = None
) -> AsyncIterator[Heard]:
    """Follow; hang up when left."""
    headers = {"Authorization": f"Bearer {secret}"}
    if last_id is not None:
        headers["Last-Event-ID"] = last_id
    timeout = aiohttp.ClientTimeout(total=60)
    async with (
        aiohttp.ClientSession(timeout=timeout) as http,
        http.get(url + path, headers=headers) as response,
    ):
        yield Heard(response)


async def _paragraph(content: aiohttp.StreamReader) -> str:
    lines = b""
    while (line := await content.readline()) not in {b"\n", b""}:
        lines += line
    return lines.decode()


def _read(text: str) -> Frame:
    lines = re.split(r"\r\n?|\n", text.rstrip("\n"))  # and nothing else ends a line
    fields = dict(line.split(": ", 1) for line in lines if line[0] != ":")
    data = fields.get("data")
    return Frame(
        name=fields.get("event", ""),
        id=fields.get("id", ""),
        data=None if data is None else orjson.loads(data),
        retry=fields.get("retry", ""),
        comment=text.removeprefix(":").strip() if text.startswith(":") else "",
    )
