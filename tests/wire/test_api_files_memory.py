"""A file passes a front door both ways without ever being in its memory."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp

from tests.fakes.door import SECRET
from tests.fakes.forms import TYPE, Part, form
from tests.fakes.front_process import FrontProcess, front_process
from tests.fakes.valkey import Valkey

PIECE = os.urandom(8 << 20)
PIECES = 12
MOST_GROWTH = 48 << 20
KEY = {"Authorization": f"Bearer {SECRET}"}


class Peak:
    """The most that a front door ever had in memory when somebody looked."""

    def __init__(self, door: FrontProcess) -> None:
        self._door, self.bytes = door, 0

    async def look(self) -> None:
        self.bytes = max(self.bytes, await self._door.memory_bytes())


async def body(peak: Peak) -> AsyncIterator[bytes]:
    start, _, end = form(Part("file", b"|", "x"), purpose="batch").partition(b"|")
    yield start
    for _ in range(PIECES):
        yield PIECE
        await peak.look()
    yield end


async def test_large_file_passes_in_little_memory(
    shared_valkey: Valkey, redis, tmp_path: Path
):
    preset = {"DARKROOM_BOOTSTRAP_KEY": SECRET}
    async with (
        front_process(shared_valkey.url, tmp_path, **preset) as door,
        asyncio.timeout(30),
    ):
        port, peak = (await door.event("door.opened"))["port"], Peak(door)
        before = await door.memory_bytes()
        async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as http:
            typed = KEY | {"Content-Type": TYPE}
            async with http.post(
                "/v1/files", data=body(peak), headers=typed
            ) as response:
                file = await response.json()
            url = f"/v1/files/{file['id']}/content"
            async with http.get(url, headers=KEY) as response:
                got = 0
                while piece := await response.content.read(len(PIECE)):
                    got += len(piece)
                await peak.look()

    assert file["bytes"] == got == PIECES * len(PIECE)
    assert peak.bytes - before < MOST_GROWTH
