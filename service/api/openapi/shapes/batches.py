"""Batches: OpenAI's object, and what we know beside it; all times are Unix seconds."""

from typing import Literal

from service.api.openapi.shapes import Shape

BatchStatus = Literal[
    "validating",
    "in_progress",
    "finalizing",
    "completed",
    "failed",
    "expired",
    "cancelling",
    "cancelled",
]


class BatchFault(Shape):
    """What is wrong with a line."""

    code: str
    message: str
    param: str | None
    line: int | None
    """Counted as editors do, from 1; null: it is no single line's."""


class BatchErrors(Shape):
    """What is wrong with the lines that are not sound: the first hundred of them."""

    object: Literal["list"]
    data: list[BatchFault]


class BatchCounts(Shape):
    """How many lines there are, and how they came out."""

    total: int
    """0 until all were read."""
    completed: int
    """They have images."""
    failed: int
    """They have none, or were not sound."""
    canceled: int
    """They were called off, or had not begun when the batch was."""
    expired: int
    """They had not begun in time."""


class BatchSummary(Shape):
    """What came of it so far."""

    images: int
    cost: float
    """US dollars."""
    p50_ms: int | None
    """Half of the jobs took no longer; null: none has ended yet."""
    p95_ms: int | None


class BatchLinks(Shape):
    """Where to go from here."""

    self: str
    events: str
    """What happens to it and its jobs, as server-sent events."""
    results: str
    """Its results in the order in which they come."""
    cancel: str


class Batch(Shape):
    """Many calls that were handed in together."""

    id: str
    object: Literal["batch"]
    endpoint: str
    """What its lines are for; `/v1/jobs` where it came line by line."""
    errors: BatchErrors | None
    input_file_id: str | None
    completion_window: str
    status: BatchStatus
    """A batch that is `completed`, `failed`, `expired` or `cancelled` changes no more;
    `failed` means that none of its lines was sound."""
    output_file_id: str | None
    """What succeeded by now; there from the beginning."""
    error_file_id: str | None
    """All else; null: there is nothing else."""
    created_at: int
    in_progress_at: int | None
    expires_at: int | None
    finalizing_at: int | None
    completed_at: int | None
    failed_at: int | None
    expired_at: int | None
    cancelling_at: int | None
    cancelled_at: int | None
    request_counts: BatchCounts
    metadata: dict[str, str]
    summary: BatchSummary
    retry_of: str | None
    """The batch whose lines it repeats."""
    links: BatchLinks


class BatchList(Shape):
    """A page of batches, newest first."""

    object: Literal["list"]
    data: list[Batch]
    has_more: bool
    first_id: str | None
    last_id: str | None
    """Send it as `after` for the next page."""
