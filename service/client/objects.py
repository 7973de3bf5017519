"""Jobs, batches, and what happens to them, as frozen objects; see `reading.Object`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from service.client.reading import Object

_UNFINISHED_JOB = frozenset({"queued", "running"})
_FINISHED_BATCH = frozenset({"completed", "failed", "expired", "cancelled"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Error(Object):
    """What went wrong; codes are those of docs/errors.md."""

    code: str = "internal"
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Image(Object):
    """One finished image.

    Attributes:
        url: Signed when this was read; it needs no key, until it expires.
        url_expires_at: Read the job again for a fresh URL.
        sha256: Of its bytes, in hex.
        width: Pixels.
        height: Pixels.
        content_type: Such as `image/png`.
        bytes: How many it has.
        revised_prompt: The prompt as the provider drew it, where it says.
    """

    url: str = ""
    url_expires_at: datetime | None = None
    sha256: str = ""
    width: int = 0
    height: int = 0
    content_type: str = ""
    bytes: int = 0
    revised_prompt: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Result(Object):
    """What a job made."""

    created: datetime | None = None
    data: tuple[Image, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt(Object):
    """One try at one route.

    Attributes:
        cost: US dollars.
        billed: Whether it stands on the provider's bill; None where nobody knows.
    """

    provider: str = ""
    provider_model: str = ""
    started_at: datetime | None = None
    ms: int | None = None
    outcome: str = ""
    error_code: str | None = None
    upstream_id: str | None = None
    cost: float | None = None
    cost_source: str | None = None
    billed: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue(Object):
    """A queued job's place.

    Attributes:
        position: How many are before it, over all accounts.
        eta_s: A guess of the seconds until it starts.
        held: It starts when it is released; see `Darkroom.release`.
    """

    position: int | None = None
    eta_s: int | None = None
    priority: str = "normal"
    held: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Job(Object):
    """One accepted request and its history.

    Attributes:
        status: `queued`, `running`, `succeeded`, `failed`, `canceled` or `expired`.
        progress: From 0 to 1.
        queue: None once it has started.
        expires_at: When record and images will be deleted, or the job given up.
        request: What was asked for, as it was understood.
        error: Why there are no images, or what is missing from them.
        cost: US dollars, over all attempts.
        alias: The id of your own that it was put under.
        retry_of: The job whose request this one repeats.
        batch_id: The batch it belongs to, where it is `custom_id`.
    """

    id: str
    status: str
    progress: float = 0.0
    queue: Queue | None = None
    created_at: datetime | None = None
    started_at: datetime | None = None
    completed_at: datetime | None = None
    expires_at: datetime | None = None
    request: Mapping[str, Any] = field(default_factory=dict)
    result: Result | None = None
    error: Error | None = None
    attempts: tuple[Attempt, ...] = ()
    usage: Mapping[str, Any] | None = None
    cost: float | None = None
    cost_source: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    alias: str | None = None
    retry_of: str | None = None
    batch_id: str | None = None
    custom_id: str | None = None

    @property
    def is_final(self) -> bool:
        """Whether it will never change again."""
        return self.status not in _UNFINISHED_JOB

    @property
    def images(self) -> tuple[Image, ...]:
        """What it made; none before it has succeeded."""
        return self.result.data if self.result else ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts(Object):
    """Lines of a batch, by how they ended."""

    total: int = 0
    completed: int = 0
    failed: int = 0
    canceled: int = 0
    expired: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary(Object):
    """What a batch came to so far; `cost` is in US dollars, times are of its jobs."""

    images: int = 0
    cost: float = 0.0
    p50_ms: int | None = None
    p95_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LineError(Object):
    """What is wrong with a line of a batch, or with all of it."""

    code: str = ""
    message: str = ""
    line: int | None = None
    param: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LineErrors(Object):
    """The first of them."""

    data: tuple[LineError, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch(Object):
    """Many requests under one name.

    Attributes:
        status: `validating`, `in_progress`, `finalizing`, `cancelling`, and finally
            `completed`, `failed`, `expired` or `cancelled`.
        expires_at: Lines that have not begun by then do so no more.
        retry_of: The batch whose failed lines these are.
    """

    id: str
    status: str
    endpoint: str | None = None
    completion_window: str | None = None
    request_counts: Counts = field(default_factory=Counts)
    summary: Summary = field(default_factory=Summary)
    errors: LineErrors = field(default_factory=LineErrors)
    input_file_id: str | None = None
    output_file_id: str | None = None
    error_file_id: str | None = None
    created_at: datetime | None = None
    in_progress_at: datetime | None = None
    finalizing_at: datetime | None = None
    completed_at: datetime | None = None
    failed_at: datetime | None = None
    expires_at: datetime | None = None
    expired_at: datetime | None = None
    cancelling_at: datetime | None = None
    cancelled_at: datetime | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    retry_of: str | None = None

    @property
    def is_final(self) -> bool:
        """Whether it will never change again."""
        return self.status in _FINISHED_BATCH


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchResult(Object):
    """What became of one line of a batch.

    Attributes:
        line: Where it stood, counted as editors do, from 1.
        job: The job that was made of it.
        error: Why none was, or why it is not there any more.
    """

    line: int = 0
    custom_id: str | None = None
    job: Job | None = None
    error: Error | None = None

    @property
    def images(self) -> tuple[Image, ...]:
        """What was made of it."""
        return self.job.images if self.job else ()

    @property
    def problem(self) -> Error | None:
        """Why there are no images, or not all of them."""
        return self.job.error if self.job else self.error


@dataclass(frozen=True, slots=True, kw_only=True)
class Event(Object):
    """Something that happened, told by a stream or by a webhook.

    Attributes:
        id: A stream's is where to go on `after`; a webhook's is the same however
            often it is delivered.
        type: Such as `job.succeeded`; `snapshot` where a stream had to skip some.
        progress: From 0 to 1.
        job: The whole job: with the first and last event of its stream, in webhooks.
        batch: The whole batch, likewise.
    """

    id: str
    type: str
    created_at: datetime | None = None
    job_id: str | None = None
    batch_id: str | None = None
    endpoint_id: str | None = None
    status: str | None = None
    progress: float | None = None
    job: Job | None = None
    batch: Batch | None = None
