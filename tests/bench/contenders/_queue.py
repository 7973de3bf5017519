"""What is asked of every queue: `fill`, `send`, `work` or `hear`, on one server.

fill URL JOBS    enqueue no-op jobs, as fast as it will
send URL JOBS    enqueue one job after the other, each on an idle queue
work URL         run jobs until killed
hear URL         the same, and say how many ms each has waited for its start
"""

import asyncio
import itertools
import sys
import time
from collections.abc import Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager
from typing import Any

import uvloop

SLOTS = 100
"""Jobs at once in one worker; no contender gains from more."""

Request = dict[str, Any]
Submit = Callable[[Request], Awaitable[object]]
Job = Callable[[Request], None]

REQUEST: Request = {
    "model": "test/test",
    "prompt": "a red fox in the snow, " * 20,
    "n": 1,
    "width": 1024,
    "height": 1024,
    "output_format": "png",
}
_AT_ONCE = 500
_PAUSE_S = 0.01


def run(
    submitting: Callable[[str], AbstractAsyncContextManager[Submit]],
    work: Callable[[str, Job], Awaitable[None]],
) -> None:
    """Do what the command line says."""
    command, url, *jobs = sys.argv[1:]
    match command:
        case "fill":
            uvloop.run(fill(submitting(url), itertools.repeat(REQUEST, int(jobs[0]))))
        case "send":
            uvloop.run(_send(submitting(url), int(jobs[0])))
        case "work":
            uvloop.run(work(url, _ignore))
        case "hear":
            uvloop.run(work(url, _tell))


async def fill(
    submitting: AbstractAsyncContextManager[Callable[[Any], Awaitable[object]]],
    jobs: Iterable[Any],
) -> None:
    """Enqueue them, five hundred at a time."""
    left = iter(jobs)
    async with submitting as submit:
        while these := list(itertools.islice(left, _AT_ONCE)):
            await asyncio.gather(*map(submit, these))


async def _send(submitting: AbstractAsyncContextManager[Submit], jobs: int) -> None:
    async with submitting as submit:
        for _ in range(jobs):
            await asyncio.sleep(_PAUSE_S)
            await submit({**REQUEST, "extra": {"sent_s": time.monotonic()}})


def _ignore(request: Request) -> None:
    """Do nothing; the request has been decoded, and that is all."""


def _tell(request: Request) -> None:
    """Say how long ago the job was sent; the clock is the machine's."""
    waited_ms = (time.monotonic() - request["extra"]["sent_s"]) * 1000
    print(f"{waited_ms:.4f}", flush=True)
