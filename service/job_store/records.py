"""How a job is written down, and read back."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from service.core.jobs import Attempt, Job, JobId, JobState, StoredImage
from service.core.requests import GenerationRequest, Priority


@dataclass(frozen=True, slots=True, kw_only=True)
class NewJob:
    """All that `submit` needs to know of one job.

    Attributes:
        weight: Of the account, at least 1: its share of the fleet.
        units: Quota units to reserve.
        quota: Most units the key may use in `period`; None: no limit.
        period: `YYYY-MM`, whose account is charged.
        most_queued: Most unfinished jobs the key may have.
        start_within: It expires unless it has started by then; None: never.
        idempotency_name: At most 255 characters, of the caller's choosing.
        content_hash: Equal for equal requests; decides whether a name was reused.
        notify: Whether a final state leaves a row in the outbox.
        cache_key: Hex digest of what decides the images; a job of the account that
            has it, under way or done whole, answers for this one. None: never.
        ephemeral: Whether prompt, inputs and images go when it was delivered; such a
            job answers for no other.
    """

    id: JobId
    account: str
    key_id: str
    priority: Priority
    request: GenerationRequest
    weight: int = 1
    units: int = 0
    quota: int | None = None
    period: str = ""
    most_queued: int = 100_000
    start_within: timedelta | None = None
    metadata: dict[str, str] | None = None
    idempotency_name: str | None = None
    content_hash: str = ""
    notify: bool = False
    cache_key: str | None = None
    ephemeral: bool = False

    @property
    def cost(self) -> int:
        """How far the job moves its flow's tag: more images, more of a share."""
        share = self.priority.weight * self.weight
        return max(1, 1000 * self.request.n // share)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one attempt came to, ready to be committed.

    Attributes:
        state: `succeeded` or `failed`.
        error: What failed, or what a partial success lacks.
        asked: How many images the request wanted; reserved quota units are charged
            for the part that was delivered.
    """

    state: JobState
    attempt: Attempt
    images: tuple[StoredImage, ...] = ()
    error: dict[str, Any] | None = None
    usage: dict[str, int] | None = None
    cost_usd: str | None = None
    asked: int = 1

    def result_json(self) -> bytes:
        """Return what the record's `result` holds; empty without images."""
        if not self.images:
            return b""
        return orjson.dumps(
            {
                "images": [_fields(image) for image in self.images],
                "usage": self.usage,
                "cost_usd": self.cost_usd,
            }
        )


def request_json(request: GenerationRequest) -> bytes:
    """Return the stored form of a request."""
    return orjson.dumps(request.to_record())


def shown_json(request: GenerationRequest) -> bytes:
    """Return what is left of an ephemeral job's request: nothing of the caller's."""
    said = replace(
        request,
        prompt="",
        negative_prompt=None,
        user=None,
        images=(),
        mask=None,
        extra={},
    )
    return request_json(said)


def read_request(stored: bytes) -> GenerationRequest:
    """Read what `request_json` wrote."""
    return GenerationRequest.from_record(orjson.loads(stored))


def attempt_json(attempt: Attempt) -> bytes:
    """Return the stored form of an attempt."""
    fields = _fields(attempt)
    started = fields.pop("started_at", None)
    if started is not None:
        fields["started_ms"] = int(started.timestamp() * 1000)
    return orjson.dumps(fields)


def read_job(job_id: JobId, stored: Mapping[bytes, bytes]) -> Job:
    """Read a record's fields, as HGETALL gives them."""
    fields = {name.decode(): value for name, value in stored.items()}
    result = orjson.loads(fields["result"]) if "result" in fields else {}
    return Job(
        id=job_id,
        account=fields["account"].decode(),
        key_id=fields["key_id"].decode(),
        priority=Priority(fields["priority"].decode()),
        state=JobState(fields["state"].decode()),
        request=read_request(fields["request"]),
        created_at=_required_time(fields["created_ms"]),
        started_at=_time(fields.get("started_ms")),
        completed_at=_time(fields.get("completed_ms")),
        deadline=_time(fields.get("deadline_ms")),
        due_at=_time(fields.get("due_ms")),
        expires_at=_time(fields.get("expires_ms")),
        fence=int(fields["fence"]),
        attempts=int(fields.get("attempts", 0)),
        interruptions=int(fields.get("interruptions", 0)),
        trail=_trail(fields),
        images=tuple(StoredImage(**image) for image in result.get("images", ())),
        error=orjson.loads(fields["error"]) if "error" in fields else None,
        usage=result.get("usage"),
        cost_usd=result.get("cost_usd"),
        units=int(fields.get("units", 0)),
        ephemeral="shown" in fields,
        metadata=orjson.loads(fields["metadata"]) if "metadata" in fields else {},
    )


def _trail(fields: Mapping[str, bytes]) -> tuple[Attempt, ...]:
    fences = sorted(
        int(name.removeprefix("attempt:"))
        for name in fields
        if name.startswith("attempt:")
    )
    return tuple(_read_attempt(fields[f"attempt:{fence}"]) for fence in fences)


def _read_attempt(stored: bytes) -> Attempt:
    fields = orjson.loads(stored)
    started = fields.pop("started_ms", None)
    known = {"provider": "", "model": "", **fields}
    return Attempt(
        started_at=None if started is None else _required_time(started), **known
    )


def _fields(record: Attempt | StoredImage) -> dict[str, Any]:
    """Return what is set of a flat record; a tenth of the time of `asdict`."""
    values = {name: getattr(record, name) for name in record.__slots__}
    return {name: value for name, value in values.items() if value is not None}


def _required_time(ms: bytes | int) -> datetime:
    return datetime.fromtimestamp(int(ms) / 1000, tz=UTC)


def _time(ms: bytes | None) -> datetime | None:
    return None if ms is None else _required_time(ms)
