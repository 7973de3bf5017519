"""`python -m service` in a process of its own, started and asked by a test."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import orjson


class FrontProcess:
    """A front door in a process of its own; its log is read line by line."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.pid = process.pid

    async def event(self, name: str) -> dict:
        async with asyncio.timeout(20):
            while line := await self._process.stderr.readline():
                record = orjson.loads(line)
                if record["event"] == name:
                    return record
        raise AssertionError(f"it ended without {name}")

    async def drop_log(self) -> None:
        """Read on for as long as it lives: a full pipe would stop it."""
        while await self._process.stderr.readline():
            pass

    async def ended(self, *, within_s: float = 10) -> tuple[int, str]:
        async with asyncio.timeout(within_s):
            _, rest = await self._process.communicate()
        return self._process.returncode, rest.decode()

    async def memory_bytes(self) -> int:
        """What it has in memory just now."""
        command = ("ps", "-o", "rss=", "-p", str(self.pid))
        asked = await asyncio.create_subprocess_exec(
            *command, stdout=asyncio.subprocess.PIPE
        )
        said, _ = await asked.communicate()
        return int(said) * 1024

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)


@contextlib.asynccontextmanager
async def front_process(
    redis_url: str, folder: Path, *, fds: tuple[int, ...] = (), **environment: str
) -> AsyncIterator[FrontProcess]:
    """Start one on a free port; it is killed in the end, if it still lives."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "service",
        stderr=asyncio.subprocess.PIPE,
        pass_fds=fds,
        env={
            "PATH": os.environ["PATH"],
            "DARKROOM_REDIS_URL": redis_url,
            "DARKROOM_DATA_DIR": str(folder),
            "DARKROOM_PORT": "0",
            **environment,
        },
    )
    try:
        yield FrontProcess(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
