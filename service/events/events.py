"""One fact of an account's stream, and the words in which followers are told."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import orjson

from service.core.jobs import JobState
from service.core.webhooks import BATCH_STEPS, DISABLED, HELD, JOB_ENDS, JOB_STEPS
from service.events.positions import Position, id_of, milliseconds_of

_ENDED_JOBS = frozenset(state.value for state in JobState if state.is_final)
_ENDED_BATCHES = frozenset({"completed", "failed", "expired", "cancelled"})
_STARTED = JobState.RUNNING.value
_KNOWN_PROGRESS = {JobState.QUEUED.value: 0.0, JobState.SUCCEEDED.value: 1.0}

TYPES = frozenset({"job.queued", HELD, *JOB_STEPS, *JOB_ENDS, *BATCH_STEPS, DISABLED})
"""All that may happen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something happened to a job, a batch or an endpoint.

    Attributes:
        type: Such as `job.succeeded` or `batch.in_progress`.
        job_id: None: it is about something else.
        batch_id: The batch, or the one that the job belongs to.
        endpoint_id: Set where it is about an endpoint.
        status: Where that stands now.
        progress: From 0 to 1; None: the event does not say.
    """

    position: Position
    type: str
    job_id: str | None
    batch_id: str | None
    endpoint_id: str | None
    status: str
    progress: float | None

    @classmethod
    def read(cls, position: Position, entry: Mapping[bytes, bytes]) -> Self:
        """Read what a script wrote; see `darkroom:events` in `job_store.keys`.

        One of a version to come may hold words that are not known yet.
        """
        fields = {
            name.decode(): value.decode(errors="replace")
            for name, value in entry.items()
        }
        status = fields.get("state", "")
        job_id, batch_id = fields.get("job"), fields.get("batch")
        kind = "job" if job_id else "batch" if batch_id else "endpoint"
        given = fields.get("progress")
        if job_id and given is not None:
            word = "progress"
        elif job_id and "held" in fields:
            word = "held"
        else:
            word = job_word(status) if job_id else status
        return cls(
            position=position,
            type=f"{kind}.{word}",
            job_id=job_id,
            batch_id=batch_id,
            endpoint_id=fields.get("endpoint"),
            status=status,
            progress=_progress(given, status) if job_id else None,
        )

    @property
    def ends(self) -> str | None:
        """The job or batch that nothing more happens to; None: something may."""
        if self.job_id is not None:
            return self.job_id if self.status in _ENDED_JOBS else None
        return self.batch_id if self.status in _ENDED_BATCHES else None

    def text(self, **more: Any) -> bytes:
        """Return the event as it goes over the wire; `more` stands behind its data."""
        about: dict[str, Any] = {
            "job_id": self.job_id,
            "batch_id": self.batch_id,
            "status": self.status,
            "progress": self.progress,
        }
        if self.endpoint_id is not None:
            about["endpoint_id"] = self.endpoint_id
        return told(self.type, self.position, **about, **more)


def job_word(state: str) -> str:
    """Return what comes behind `job.` where a job is in that state."""
    return "started" if state == _STARTED else state


def told(name: str, position: Position, **data: Any) -> bytes:
    """Return an event: its data on one line, whatever is in it."""
    event_id = id_of(position)
    body = orjson.dumps(
        {
            "type": name,
            "id": event_id,
            "created_at": milliseconds_of(position) / 1000,
            **data,
        }
    )
    return b"event: %b\nid: %b\ndata: %b\n\n" % (name.encode(), event_id.encode(), body)


def _progress(given: str | None, status: str) -> float | None:
    try:
        return _KNOWN_PROGRESS.get(status) if given is None else float(given)
    except ValueError:
        return None
