"""What can be followed to its end: a job or a batch, and how it stands at a moment."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from service.api.views import Views
from service.batch_views import shown_batch
from service.batches import Batch, Batches, is_batch_id
from service.batches.records import read_batch
from service.core.errors import BatchDeleted, Deleted, JobDeleted
from service.core.jobs import Job
from service.events import Position, Show, job_word, told
from service.job_store import JobStore, keys
from service.job_store.records import read_job

Record = Mapping[bytes, bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Followed:
    """One thing that somebody follows.

    Attributes:
        ended_at: None: it has not.
        record: The key of its record.
        gone: What is raised where the record is not there any more.
        event: From the record, the newest event and a name of one's own to an event
            that tells how it stands, and whether no other follows.
    """

    account: str
    id: str
    ended_at: datetime | None
    record: str
    gone: Deleted
    event: Callable[[Record, Position, str | None], tuple[bytes, bool]]


def followed_job(job: Job, views: Views) -> Followed:
    """Return the job as something to follow."""

    def event(record: Record, newest: Position, name: str | None) -> tuple[bytes, bool]:
        now = read_job(job.id, record)
        view = views.job(now)
        text = told(
            name or f"job.{job_word(now.state)}",
            newest,
            job_id=now.id,
            batch_id=now.batch,
            status=now.state,
            progress=view["progress"],
            job=view,
        )
        return text, now.state.is_final

    return Followed(
        account=job.account,
        id=job.id,
        ended_at=job.completed_at if job.state.is_final else None,
        record=keys.job(job.id),
        gone=JobDeleted("this job was deleted"),
        event=event,
    )


def followed_batch(batch: Batch, *, base_url: str) -> Followed:
    """Return the batch, with its jobs, as something to follow."""

    def event(record: Record, newest: Position, name: str | None) -> tuple[bytes, bool]:
        now = read_batch(batch.id, record)
        view = shown_batch(now, base_url=base_url)
        text = told(
            name or f"batch.{view['status']}",
            newest,
            job_id=None,
            batch_id=now.id,
            status=view["status"],
            progress=None,
            batch=view,
        )
        return text, now.state.is_final

    return Followed(
        account=batch.account,
        id=batch.id,
        ended_at=batch.ended_at,
        record=keys.batch(batch.id),
        gone=BatchDeleted("this batch was deleted"),
        event=event,
    )


def shown_with_the_end(
    jobs: JobStore, batches: Batches, views: Views, *, base_url: str
) -> Show:
    """Return what reads the job or batch that is sent with its last event."""

    async def show(account: str, subject: str) -> Mapping[str, object]:
        if is_batch_id(subject):
            batch = await batches.get(subject, account=account)
            return {"batch": shown_batch(batch, base_url=base_url)}
        return {"job": views.job(await jobs.get(subject, account=account))}

    return show
