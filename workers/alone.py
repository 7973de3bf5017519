"""A job that was there when workers died runs in a process of its own.

Workers die of many things, and the one job that lay in all of them may only have had
bad luck. Where its own process ends while the worker lives, it was the job: it is
parked at once, and takes nobody along. Where the worker dies as well, nothing is known,
and it is run so again.
"""

import asyncio
import contextlib
import os
import signal
import sys
from asyncio import StreamReader, StreamWriter
from asyncio.subprocess import PIPE, Process
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, BinaryIO, Self, cast

import structlog
import uvloop

from service import logs
from service.catalog_file import LiveCatalog
from service.core.errors import CatalogError
from service.core.jobs import Attempt, JobState
from service.job_store.lease import Lease
from service.job_store.outcomes import Later, Outcome
from service.settings import ConfigurationError, Settings, load_settings
from workers.context import WorkerContext
from workers.equipment import equipped
from workers.generate import generate
from workers.parcels import lease_line, read_lease_line, read_verdict, verdict_line
from workers.receipts import find_receipt

log = structlog.get_logger()

ALONE_AFTER = 3
"""Interruptions; with those in one worker, a poison job takes three along."""
_COMMAND = (sys.executable, "-P", "-m", "workers.apart")
_AGAIN_S = 5.0
"""To begin in vain costs a second of a processor."""
_BEGUN = b"begun\n"
_LONGEST_LINE = 1 << 24
_DEAF_TO = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""What is sent to all processes of a worker means the worker, which decides."""


async def guarded(ctx: dict[str, Any], lease: Lease) -> Outcome | Later:
    """Make one attempt, as `generate` does; apart, where workers died over the job."""
    if lease.interruptions < ALONE_AFTER:
        return await generate(ctx, lease)
    while True:
        if (line := await _run_apart(lease)) is not None:
            break
        log.warning("attempt.not_begun", id=lease.id)
        await asyncio.sleep(_AGAIN_S)
    if line:
        return read_verdict(line)
    worker: WorkerContext = ctx["worker"]
    as_next = replace(lease, fence=lease.fence + 1)
    if (bought := await find_receipt(worker.images, as_next)) is not None:
        log.warning("attempt.died_behind_receipt", id=lease.id)
        return bought
    log.error("job.parked", id=lease.id, interruptions=lease.interruptions)
    return _poison(lease)


async def _run_apart(lease: Lease) -> bytes | None:
    """Return what the child says of the job; empty: it died; None: it did not begin."""
    try:
        child = await _Child.start()
    except OSError:
        return None
    try:
        return await child.run(lease)
    finally:
        await child.end()


class _Child:
    """The process, seen from its worker."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._orders = cast("StreamWriter", process.stdin)
        self._answers = cast("StreamReader", process.stdout)

    @classmethod
    async def start(cls) -> Self:
        process = await asyncio.create_subprocess_exec(
            *_COMMAND,
            stdin=PIPE,
            stdout=PIPE,
            limit=_LONGEST_LINE,
            start_new_session=True,
        )
        return cls(process)

    async def run(self, lease: Lease) -> bytes | None:
        self._orders.write(lease_line(lease))
        with contextlib.suppress(ConnectionError):
            await self._orders.drain()
        if await self._answers.readline() != _BEGUN:
            return None
        return await self._answers.readline()

    async def end(self) -> None:
        """Kill it, and wait until nothing of it is left."""
        # Process.kill() would reap one that is dead already, and its watcher complain.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._orders.close()
        while await self._answers.read(_LONGEST_LINE):
            pass
        await self._process.wait()


def _poison(lease: Lease) -> Outcome:
    return Outcome(
        state=JobState.FAILED,
        attempt=Attempt(
            provider="",
            model=lease.request.model,
            started_at=datetime.now(UTC),
            outcome="failed",
            error_code="poison",
        ),
        error={
            "code": "poison",
            "message": "Each process that ran this job died; it was parked.",
        },
    )


def main() -> int:
    """Run the job on standard input, and say what came of it; see `workers.apart`."""
    for number in _DEAF_TO:
        signal.signal(number, signal.SIG_IGN)
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb", buffering=0)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what else is said is no answer
    try:
        settings = load_settings()
        live = LiveCatalog(settings.catalog_file)
    except (ConfigurationError, CatalogError) as exc:  # its worker read it before
        print(f"darkroom: {exc}", file=sys.stderr)  # noqa: T201 - no log yet
        return 2
    logs.configure(settings)
    line = sys.stdin.buffer.readline()
    uvloop.run(_serve(settings, live, line, answers))
    return 0


async def _serve(
    settings: Settings, live: LiveCatalog, line: bytes, answers: BinaryIO
) -> None:
    async with equipped(
        settings, live.current, name=f"alone:{os.getpid()}", decoders=1
    ) as ours:
        lease = read_lease_line(line)  # of a worker whose program may be older
        answers.write(_BEGUN)
        try:
            verdict = await generate({"worker": ours.context}, lease)
        except Exception:
            log.exception("attempt.crashed", id=lease.id)
            verdict = ours.context.leases.crashed(lease)
        answers.write(verdict_line(verdict))
