"""A job and the only steps it may take.

    queued   claim    -> running
             cancel   -> canceled
             expire   -> expired     nothing started before its deadline
    running  commit   -> succeeded, failed
             requeue  -> queued      an attempt failed, another is due
             release  -> queued      given back by a draining worker
             hold     -> queued      nobody knows whether it was bought: ask first
             claim    -> running     the worker before died
             cancel   -> canceled

Attempts (a provider was asked) and interruptions (a worker died) are counted
apart: only attempts use up the retry policy. The scripts of `service.job_store`
take these steps; nothing else writes a state.
"""

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, NewType

from service.core.requests import GenerationRequest, Priority

JobId = NewType("JobId", str)


class JobState(StrEnum):
    """Where a job stands; the last four are final."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"
    EXPIRED = "expired"

    @property
    def is_final(self) -> bool:
        """Whether no step leads out of it."""
        return not STEPS[self]


STEPS: Mapping[JobState, frozenset[JobState]] = {
    JobState.QUEUED: frozenset(
        {JobState.RUNNING, JobState.FAILED, JobState.CANCELED, JobState.EXPIRED}
    ),
    JobState.RUNNING: frozenset(
        {
            JobState.RUNNING,
            JobState.QUEUED,
            JobState.SUCCEEDED,
            JobState.FAILED,
            JobState.CANCELED,
        }
    ),
    JobState.SUCCEEDED: frozenset(),
    JobState.FAILED: frozenset(),
    JobState.CANCELED: frozenset(),
    JobState.EXPIRED: frozenset(),
}

_SURENESS = ("reported", "priced", "estimated", None)
"""Who says what was paid, the surest first."""
_DIGITS = b"0123456789abcdefghjkmnpqrstvwxyz" * 8
"""From a random byte to one of 32 digits, all equally likely."""
_FORM = re.compile(r"job_[0-9a-hjkmnp-tv-z]{26}")
_ALIAS = re.compile(r"(?!job_)[A-Za-z0-9][A-Za-z0-9._:-]{0,127}")


def new_job_id() -> JobId:
    """Return `job_` and 26 random characters (130 bits): unguessable, URL-safe."""
    return job_id_of(secrets.token_bytes(26))


def job_id_of(noise: bytes) -> JobId:
    """Return the id that follows from 26 bytes or more of a digest, or of noise."""
    return JobId("job_" + noise[:26].translate(_DIGITS).decode())


def is_job_id(text: str) -> bool:
    """Whether `text` has the form of a job id, so that it may become a key."""
    return _FORM.fullmatch(text) is not None


def is_alias(text: str) -> bool:
    """Whether `text` may be what a caller calls a job; no id of ours looks like it."""
    return _ALIAS.fullmatch(text) is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One try of one job at one route, as the record keeps it.

    Attributes:
        provider: Name in the catalog, such as `openai`; empty when a worker died
            before it was known.
        model: The provider's own name for the model.
        started_at: When the worker claimed the job for it.
        ms: How long it took; None when nobody lived to say.
        outcome: `succeeded`, `failed`, `interrupted` or `canceled`.
        error_code: Stable code of what went wrong.
        upstream_id: The provider's id of the request.
        cost_usd: Decimal text, such as `0.042`.
        cost_source: See `Job`.
        billed: Whether the provider charges for it; None: unknown.
    """

    provider: str
    model: str
    started_at: datetime | None
    ms: int | None = None
    outcome: str = "succeeded"
    error_code: str | None = None
    upstream_id: str | None = None
    cost_usd: str | None = None
    cost_source: str | None = None
    billed: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredImage:
    """One image of a finished job, checked, decoded once and stored.

    Attributes:
        key: Where it lies in the image store.
        sha256: Hex digest of the bytes there.
        width: Pixels.
        height: Pixels.
        content_type: `image/png`, `image/jpeg` or `image/webp`.
        size_bytes: Length of the bytes there.
        revised_prompt: What the provider really drew, where it says so.
    """

    key: str
    sha256: str
    width: int
    height: int
    content_type: str
    size_bytes: int
    revised_prompt: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One accepted request and its history, as read from its record.

    Attributes:
        key_id: The API key that submitted it.
        images: What was made; set only in `succeeded`.
        error: `{"code", "message"}` of a failure, or of what a partial success lacks.
        usage: The provider's usage figures.
        cost_usd: Decimal text of what the images cost; None: unknown or none. See
            `spent` for what failed attempts cost beside.
        cost_source: `reported` by the provider; `priced` by the catalog; `estimated`
            where the catalog's default stands for a case it does not name.
        units: Quota units reserved while unfinished, charged when final.
        ephemeral: Whether nothing of the caller's stays once it was delivered: the
            request of a final one has no prompt, no inputs, no user.
        lost: Whether an image was looked for and is not in the store.
        held: Whether it waits, while it is queued, for somebody to release it: it may
            have been bought already.
        progress: From 0 to 1, as far as the provider tells.
        alias: What its account calls it.
        retry_of: The job whose request it repeats.
        batch: The batch it is a line of, and `line` which, from 0; None: of none.
        custom_id: What the caller calls that line.
    """

    id: JobId
    account: str
    key_id: str
    priority: Priority
    state: JobState
    request: GenerationRequest
    created_at: datetime
    started_at: datetime | None = None
    completed_at: datetime | None = None
    deadline: datetime | None = None
    due_at: datetime | None = None
    expires_at: datetime | None = None
    fence: int = 0
    attempts: int = 0
    interruptions: int = 0
    trail: tuple[Attempt, ...] = ()
    images: tuple[StoredImage, ...] = ()
    error: dict[str, Any] | None = None
    usage: dict[str, int] | None = None
    cost_usd: str | None = None
    cost_source: str | None = None
    units: int = 0
    ephemeral: bool = False
    lost: bool = False
    held: bool = False
    progress: float = 0.0
    alias: str | None = None
    retry_of: str | None = None
    batch: str | None = None
    line: int | None = None
    custom_id: str | None = None
    metadata: dict[str, str] = field(default_factory=dict)

    @property
    def spent(self) -> tuple[Decimal | None, str | None]:
        """What all attempts cost, as far as is known, and the weakest word for it."""
        parts = [(self.cost_usd, self.cost_source)] + [
            (attempt.cost_usd, attempt.cost_source)
            for attempt in self.trail
            if attempt.outcome != "succeeded"
        ]
        told = [(Decimal(usd), source) for usd, source in parts if usd is not None]
        if not told:
            return None, None
        weakest = max((source for _, source in told), key=_SURENESS.index)
        return sum((usd for usd, _ in told), Decimal(0)), weakest

    @property
    def version(self) -> str:
        """Changes with every step the job takes; the base of its ETag."""
        held = "-held" if self.held else ""
        return f"{self.state}-{self.fence}-{self.attempts}-{self.progress:g}{held}"
