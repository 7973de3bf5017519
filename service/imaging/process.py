"""A decoder process, seen from the service."""

import asyncio
import contextlib
import json
import os
import signal
import sys
from asyncio import StreamReader, StreamWriter
from asyncio.subprocess import PIPE, Process
from datetime import timedelta
from typing import Any, Self, cast

from service.imaging import frames

_COMMAND = (sys.executable, "-P", "-m", "service.imaging.child")
_INHERITED = ("LD_LIBRARY_PATH", "PATH", "PYTHONPATH")
"""Enough to start Python; an image that reads where it should not finds no keys."""
_TAKING_S = 20.0
_BUFFER = 1 << 23


class NotTaken(Exception):
    """The decoder is gone, and the image it was to have is not to blame."""


class Lost(Exception):
    """The decoder died of the image, or was at it for too long."""


class Decoder:
    """One child process, with one image at a time; `ask` again when it has answered."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._questions = cast(StreamWriter, process.stdin)
        self._answers = cast(StreamReader, process.stdout)

    @classmethod
    async def start(cls) -> Self:
        """Start one; it loads its libraries while the first image is on its way.

        It leads a session of its own, where no Ctrl-C of a terminal reaches it.

        Raises:
            NotTaken: There is no starting processes now.
        """
        environ = {name: os.environ[name] for name in _INHERITED if name in os.environ}
        try:
            process = await asyncio.create_subprocess_exec(
                *_COMMAND,
                stdin=PIPE,
                stdout=PIPE,
                limit=_BUFFER,
                env=environ,
                start_new_session=True,
            )
        except OSError as exc:
            raise NotTaken(str(exc)) from exc
        return cls(process)

    async def ask(
        self, request: dict[str, Any], data: bytes, *, within: timedelta
    ) -> tuple[dict[str, Any], bytes]:
        """Return head and body of the answer.

        Args:
            request: Arguments of `convert`; `mask_style`: of `mask`; none at all:
                `check`.
            data: The image.
            within: From the moment that the decoder has it.

        Raises:
            NotTaken: Another decoder may do better.
            Lost: No other would.
        """
        try:
            async with asyncio.timeout(_TAKING_S):
                await self._hand_over(request, data)
        except (OSError, EOFError) as exc:  # TimeoutError is an OSError
            raise NotTaken from exc
        try:
            async with asyncio.timeout(within.total_seconds()):
                return await self._answer()
        except (TimeoutError, EOFError) as exc:
            raise Lost from exc

    async def end(self) -> None:
        """Kill it, whatever it is doing, and wait until nothing of it is left."""
        # Process.kill() would reap one that is dead already, and its watcher complain.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._questions.close()
        while await self._answers.read(_BUFFER):
            pass
        await self._process.wait()

    async def _hand_over(self, request: dict[str, Any], data: bytes) -> None:
        if self._questions.is_closing():
            raise EOFError
        self._questions.write(frames.prelude(request, data))
        self._questions.write(data)
        await self._questions.drain()
        await self._answers.readexactly(len(frames.TAKEN))

    async def _answer(self) -> tuple[dict[str, Any], bytes]:
        lengths = await self._answers.readexactly(frames.LENGTHS.size)
        head_size, body_size = frames.LENGTHS.unpack(lengths)
        head = json.loads(await self._answers.readexactly(head_size))
        return head, await self._answers.readexactly(body_size)
