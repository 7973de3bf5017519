"""What a batch is, and what its lines' jobs are called."""

import hashlib
import re
import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from service.core.jobs import JobId, job_id_of
from service.job_store.records import Webhook

MOST_ERRORS = 100

_RANDOM_BYTES = 32
_FORM = re.compile(r"batch_[0-9a-hjkmnp-tv-z]{26}")


class BatchKind(StrEnum):
    """How its lines came, and in whose words it is told."""

    OPENAI = "openai"
    """In a file; it is validated behind the answer."""
    NATIVE = "native"
    """In the request; it is validated while they come."""
    RETRY = "retry"
    """They are what `retry_of` left undone; it is validated behind the answer."""


class BatchState(StrEnum):
    """Where a batch stands; the last four are final."""

    VALIDATING = "validating"
    IN_PROGRESS = "in_progress"
    CANCELLING = "cancelling"
    EXPIRING = "expiring"
    COMPLETED = "completed"
    FAILED = "failed"
    """None of its lines was sound."""
    EXPIRED = "expired"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        """Whether nothing changes any more."""
        return self in _FINAL


_FINAL = frozenset(list(BatchState)[-4:])


@dataclass(frozen=True, slots=True, kw_only=True)
class NewBatch:
    """All that `begin` needs to know.

    Attributes:
        endpoint: `/v1/images/generations`, `/v1/images/edits` or `/v1/jobs`.
        expires_after: Lines that have not begun by then do so no more.
        completion_window: The same in the caller's words, such as `24h`.
        input_file_id: Where the lines are; None: they come with the request.
        webhook: Whom it tells itself; None: only the account's endpoints are told.
        output_life: The files of its results go so long after they began; None: they
            go with the batch.
        retry_of: The batch whose failed lines it repeats.
        retry_code: Only those that failed with this code; None: all of them.
        name: The caller's `Idempotency-Key`.
        content_hash: Equal for equal requests; decides whether a name was reused.
    """

    account: str
    key_id: str
    kind: BatchKind
    endpoint: str
    expires_after: timedelta
    completion_window: str
    input_file_id: str | None = None
    metadata: dict[str, str] = field(default_factory=dict)
    webhook: Webhook | None = None
    output_life: timedelta | None = None
    retry_of: str | None = None
    retry_code: str | None = None
    name: str | None = None
    content_hash: str = ""


class BadLine(NamedTuple):
    """What is wrong with a line.

    Attributes:
        number: Counted as editors do, from 1, blank ones too; None: it is not the
            fault of a single line.
    """

    code: str
    message: str
    param: str | None
    number: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """One batch as it stands.

    Each line has one number, from 0, blank ones do not count. Those below `cursor` are
    dealt with: a job was made of each, or it failed. The others have not begun, and
    cost nothing but room in the store.

    Attributes:
        total: How many lines; 0 until all were read.
        cursor: How many of them were dealt with.
        completed: Lines whose job succeeded.
        failed: Lines whose job failed, or of which none could be made.
        canceled: Lines that were called off, or had not begun when the batch was.
        expired: The same of a batch that took too long.
        images: That were made.
        cost_usd: Decimal text, of all jobs that are final.
        ms_p50: Half of the jobs took no longer from submission to end, to a fifth;
            None: none ended yet.
        expires_at: Nothing more of it begins from then on.
        ended_at: When the last line was over.
        forgotten_at: It is deleted then; None: it has not ended.
        output_life: See `NewBatch`.
        errors: What is wrong with the first hundred lines that are not sound.
        bad: How many lines are not sound.
        window: Most lines of it that have jobs under way.
        segments: The first line of each piece that lies in the store.
        digest: Of the lines as they came, hex SHA-256; empty until all were read.
        delays: How often in a row something was in the way of its next line.
        crashes: How often in a row that line met a bug.
    """

    id: str
    account: str
    key_id: str
    kind: BatchKind
    endpoint: str
    state: BatchState
    completion_window: str
    created_at: datetime
    expires_at: datetime
    window: int
    total: int = 0
    cursor: int = 0
    completed: int = 0
    failed: int = 0
    canceled: int = 0
    expired: int = 0
    images: int = 0
    cost_usd: str = "0"
    ms_p50: int | None = None
    ms_p95: int | None = None
    in_progress_at: datetime | None = None
    cancelling_at: datetime | None = None
    ended_at: datetime | None = None
    forgotten_at: datetime | None = None
    input_file_id: str | None = None
    metadata: dict[str, str] = field(default_factory=dict)
    webhook: Webhook | None = None
    output_life: timedelta | None = None
    retry_of: str | None = None
    retry_code: str | None = None
    errors: tuple[BadLine, ...] = ()
    bad: int = 0
    segments: tuple[int, ...] = ()
    digest: str = ""
    delays: int = 0
    crashes: int = 0

    @property
    def never_begun(self) -> range:
        """The lines of a batch that has ended with which nobody dealt.

        Those of a failed batch are all of them. Of the very first there may be jobs all
        the same, where a front door died while it made them.
        """
        return range(self.cursor if self.state.is_final else self.total, self.total)


def new_batch_id() -> str:
    """Return `batch_` and 26 random characters (130 bits)."""
    random = job_id_of(secrets.token_bytes(_RANDOM_BYTES))
    return "batch_" + random.removeprefix("job_")


def is_batch_id(text: str) -> bool:
    """Whether `text` has the form of a batch's id, so that it may become a key."""
    return _FORM.fullmatch(text) is not None


def line_job_id(batch_id: str, line: int) -> JobId:
    """Return the id of a line's job: always the same, so that none is made twice."""
    return job_id_of(hashlib.sha256(f"{batch_id} {line}".encode()).digest())
