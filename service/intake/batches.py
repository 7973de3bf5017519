"""Batches on their way in: each line is held against catalog and key before any begins.

Nothing is fetched, made or charged for that. A line with a fault in it never harms the
others: it is kept with what is wrong with it, and fails when its turn comes.
"""

import asyncio
import contextlib
import hashlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime

from service.accounts import Accounts, ApiKey
from service.batches import (
    BadLine,
    Batch,
    Batches,
    BatchKind,
    Reading,
    StoredLine,
)
from service.batches.batch import MOST_ERRORS
from service.catalog_file import LiveCatalog
from service.core.errors import (
    BatchBegunAnew,
    BatchOver,
    Deleted,
    IdempotencyMismatch,
    InvalidRequest,
    LineTooLong,
    NotFound,
    QueueUnavailable,
    RequestError,
)
from service.files import FileKind, Files, Line
from service.intake.faults import Faults
from service.intake.holding import while_held
from service.intake.lines import LineReader
from service.intake.names import Names
from service.intake.retrying import failed_lines
from service.job_store import JobStore

_TURN_S = 0.002
"""For so long lines are looked at, and then for as long others have their turn."""
_KINDS = (FileKind.OUTPUT, FileKind.ERROR)
_NO_LINES = BadLine("empty_file", "there are no lines", None, None)
_NOTHING_FAILED = BadLine(
    "nothing_failed", "no sound line is without its images", None, None
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Acceptance:
    """Takes batches in.

    Attributes:
        reader: Knows how lines are written.
        most_lines: Of one batch.
    """

    live: LiveCatalog
    accounts: Accounts
    batches: Batches
    jobs: JobStore
    files: Files
    reader: LineReader
    most_lines: int

    async def take(
        self,
        batch: Batch,
        lines: AsyncIterator[Line],
        *,
        key: ApiKey,
        model: str | None = None,
    ) -> Batch:
        """Take the lines that come with a request; return the batch as it is then.

        It is in progress then, or has failed: none of its lines was sound. Where the
        lines do not all come, or cannot be kept, nothing of the batch is left.

        Args:
            batch: Which was begun just now.
            lines: Read no faster than they are dealt with.
            key: Who sends them.
            model: For lines that name none.

        Raises:
            RequestError: What `lines` raised; there are too many (`too_many_lines`).
            BatchBegunAnew: Under the same name, by another call.
            BatchOver: It was called off.
            Unavailable: Redis or the store is away.
        """
        work = self._prepared(batch, lines, key=key, model=model)
        try:
            # No beat goes beside `open`: one that came behind it would call it over.
            reading = await while_held(work, self.batches.feeds, batch.id)
            return await self._open(batch, reading)
        except BaseException as exc:
            with contextlib.suppress(QueueUnavailable):  # the sweep does it, then
                await self.batches.drop(batch.id)
            if isinstance(exc, BatchOver) and await self._is_dropped(batch):
                raise BatchBegunAnew("this batch was begun anew meanwhile") from exc
            raise

    async def check_same(self, batch: Batch, lines: AsyncIterator[Line]) -> None:
        """Refuse lines that are not those of a batch which was taken in before.

        Raises:
            IdempotencyMismatch: They differ.
            RequestError: What `lines` raised.
        """
        digest = hashlib.sha256()
        async for line in lines:
            digest.update(line.data + b"\n")
        if digest.hexdigest() != batch.digest:
            raise IdempotencyMismatch(
                "this Idempotency-Key was used for a batch with other lines"
            )

    async def read_file(self, batch: Batch, *, holder: str) -> None:
        """Read the lines of a batch that did not come with it; it begins, or fails.

        They are in a file, or what another batch left undone.

        Raises:
            BatchOver: It was called off, or somebody else reads it.
            Unavailable: Redis or the store is away; it is as it was.
        """
        try:
            key = await self.accounts.find(batch.key_id)
            lines = await self._lines(batch)
            reading = await self._prepared(batch, lines, key=key, model=None)
            await self.batches.feeds.opened(batch.id, reading, holder=holder)
        except BatchOver:
            raise
        except RequestError as exc:
            fault = _bad_line(exc, exc.line if isinstance(exc, LineTooLong) else None)
            reading = Reading(errors=[fault])
            await self.batches.feeds.opened(batch.id, reading, holder=holder)

    def left_undone(
        self, batch: Batch, *, code: str | None = None
    ) -> AsyncIterator[Line]:
        """Yield those lines of an ended batch that are worth another try.

        Args:
            batch: Which has ended.
            code: Only those of this `code_of`; None: all.
        """
        return failed_lines(self.batches, self.jobs, self.reader, batch, code=code)

    async def _lines(self, batch: Batch) -> AsyncIterator[Line]:
        if batch.kind is BatchKind.RETRY:
            source = await self.batches.get(batch.retry_of or "", account=batch.account)
            return self.left_undone(source, code=batch.retry_code)
        file = await self.files.get(batch.input_file_id or "", account=batch.account)
        return self.files.lines(file)

    async def _is_dropped(self, batch: Batch) -> bool:
        """Whether nothing is left of it, as is of one that was called off."""
        try:
            await self.batches.get(batch.id, account=batch.account)
        except NotFound:
            return True
        return False

    async def _prepared(
        self,
        batch: Batch,
        lines: AsyncIterator[Line],
        *,
        key: ApiKey,
        model: str | None,
    ) -> Reading:
        reading = await self._read(batch, lines, key=key, model=model)
        if reading.total > reading.bad:
            await self._announce_outputs(batch)
        return reading

    async def _open(self, batch: Batch, reading: Reading) -> Batch:
        """Let it begin; where the answer was lost, what is written down tells."""
        try:
            return await self.batches.feeds.opened(batch.id, reading)
        except (BatchOver, QueueUnavailable):
            with contextlib.suppress(NotFound, Deleted):
                found = await self.batches.get(batch.id, account=batch.account)
                if found.digest == reading.digest:
                    return found
            raise

    async def _read(
        self,
        batch: Batch,
        lines: AsyncIterator[Line],
        *,
        key: ApiKey,
        model: str | None,
    ) -> Reading:
        writer, names = self.batches.writer(batch.id), Names()
        faults = Faults(
            reader=self.reader, live=self.live, endpoint=batch.endpoint, key=key
        )
        digest, errors, bad = hashlib.sha256(), list[BadLine](), 0
        turn_ends = time.monotonic() + _TURN_S
        async for line in lines:
            if writer.total == self.most_lines:
                raise InvalidRequest(
                    f"there are more than {self.most_lines:,} lines",
                    code="too_many_lines",
                )
            digest.update(line.data + b"\n")
            stored, fault = await self._checked(batch, line, names, faults, model)
            if fault is not None:
                bad += 1
                errors += [_bad_line(fault, line.number)][: MOST_ERRORS - len(errors)]
            await writer.add(stored)
            if time.monotonic() > turn_ends:
                await asyncio.sleep(_TURN_S)
                turn_ends = time.monotonic() + _TURN_S
        await writer.finish()
        if not writer.total:
            is_retry = batch.kind is BatchKind.RETRY
            errors.append(_NOTHING_FAILED if is_retry else _NO_LINES)
        return Reading(writer.total, writer.firsts, errors, bad, digest.hexdigest())

    async def _checked(
        self,
        batch: Batch,
        line: Line,
        names: Names,
        faults: Faults,
        model: str | None,
    ) -> tuple[StoredLine, RequestError | None]:
        """Return the line as it is kept, and what is wrong with it."""
        custom_id, body, error = self.reader.read(
            line.data, endpoint=batch.endpoint, model=model
        )
        fault: RequestError | None = error
        if error is None and custom_id is not None and not names.add(custom_id):
            fault = InvalidRequest(
                "this custom_id was used before in this batch",
                code="duplicate_custom_id",
                param="custom_id",
            )
        if fault is None and body is not None:
            fault = await faults.of(body)
        said = None if fault is None else told(fault)
        body = body if fault is None else None
        return StoredLine(line.number, custom_id, body, said), fault

    async def _announce_outputs(self, batch: Batch) -> None:
        """Write down the files of the results, which can be read while they come."""
        life = batch.output_life
        for kind in _KINDS:
            await self.files.rendered(
                batch.account,
                batch=batch.id,
                kind=kind,
                filename=f"{batch.id}_{kind}.jsonl",
                expires_at=None if life is None else datetime.now(UTC) + life,
            )


def told(fault: RequestError) -> dict[str, str | None]:
    """Return what is said of a line of which no job can be made."""
    return {"code": fault.code, "message": str(fault), "param": fault.param}


def _bad_line(fault: RequestError, number: int | None) -> BadLine:
    return BadLine(fault.code, str(fault), fault.param, number)
