"""Jobs: made, awaited, ended."""

import math
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Unpack

import httpx

from service.client.bodies import Json
from service.client.errors import Deleted, JobFailed, StillRunning
from service.client.fields import JobFields, Wish, body_of, named
from service.client.objects import Job
from service.client.steps import (
    Feed,
    Flow,
    Pause,
    Request,
    asked,
    json_of,
    listed,
    route,
)

_POLL_S = 30
_AT_ONCE_S = 0.25


def submit(
    wish: Wish | None = None,
    /,
    *,
    idempotency_key: str | None = None,
    **fields: Unpack[JobFields],
) -> Flow[Job]:
    """Submit a job; the answer comes before any of it is done.

    Args:
        wish: The prompt, or all fields; by name they are said as well.
        idempotency_key: Your own name for it, under which your own tries, too, join
            the job that the first one made; None: one is made for this call.
        fields: See `JobFields`.

    Raises:
        DarkroomError: It was refused, or no answer came.
    """
    body = body_of(wish, fields)
    headers = named(idempotency_key)
    return asked(
        Job, Request(method="POST", path=route("jobs"), headers=headers, body=body)
    )


def put(
    name: str, wish: Wish | None = None, /, **fields: Unpack[JobFields]
) -> Flow[Job]:
    """Submit a job under an id of your own; again, it is the same job.

    Raises:
        DarkroomError: As `submit`.
    """
    body = body_of(wish, fields)
    return asked(Job, Request(method="PUT", path=route("jobs", name), body=body))


def preview(
    wish: Wish | None = None, /, **fields: Unpack[JobFields]
) -> Flow[Mapping[str, Any]]:
    """Return what a job would cost and where it would go; nothing is made."""
    body = Json({**body_of(wish, fields).value, "dry_run": True})
    response = yield Request(method="POST", path=route("jobs"), body=body)
    return json_of(response)


def generate(
    wish: Wish | None = None,
    /,
    *,
    timeout_s: float | None = None,
    idempotency_key: str | None = None,
    **fields: Unpack[JobFields],
) -> Flow[Job]:
    """Submit a job and return it with its images.

    Raises:
        JobFailed: There are none.
        StillRunning: `timeout_s` was over before; `wait` goes on waiting.
        DarkroomError: As `submit`.
    """
    made = yield from submit(wish, idempotency_key=idempotency_key, **fields)
    done = yield from wait(made, timeout_s=timeout_s)
    if done.status != "succeeded":
        raise JobFailed(done)
    return done


def job(job_id: str) -> Flow[Job]:
    """Return a job as it stands, with freshly signed URLs."""
    return asked(Job, Request(path=route("jobs", job_id)))


def wait(job: Job | str, *, timeout_s: float | None = None) -> Flow[Job]:
    """Return a job once it is final, however it ended.

    Raises:
        StillRunning: `timeout_s` was over before.
    """
    until = math.inf if timeout_s is None else time.monotonic() + timeout_s
    if isinstance(job, Job) and job.is_final:
        return job
    path = route("jobs", _id_of(job))
    while True:
        began = time.monotonic()
        held_s = int(min(_POLL_S, until - began))
        params = {"wait": held_s} if held_s > 0 else {}
        seen = yield from asked(Job, Request(path=path, params=params, held_s=held_s))
        if seen.is_final:
            return seen
        now = time.monotonic()
        if now >= until:
            raise StillRunning(seen)
        # A front door that drains does not hold the call.
        yield Pause(max(0.0, min(began + _AT_ONCE_S, until) - now))


def jobs(
    *,
    status: str | None = None,
    batch: str | None = None,
    held: bool | None = None,
    metadata: Mapping[str, str] | None = None,
    limit: int | None = None,
) -> Feed[Job]:
    """Yield jobs, newest first.

    Args:
        status: Only those that stand so.
        batch: Only those of this batch.
        held: Only those that are held, or are not.
        metadata: Only those that carry all of these pairs.
        limit: At most so many; None: all.
    """
    pairs = {f"metadata.{name}": value for name, value in (metadata or {}).items()}
    is_held = None if held is None else str(held).lower()
    params = {"status": status, "batch": batch, "held": is_held, **pairs}
    return listed(Job, route("jobs"), params=params, limit=limit)


def cancel(job: Job | str) -> Flow[Job]:
    """Make a job canceled; twice is the same as once.

    Raises:
        Conflict: It had ended otherwise.
    """
    return asked(Job, Request(method="POST", path=route("jobs", _id_of(job), "cancel")))


def retry(job: Job | str, *, idempotency_key: str | None = None) -> Flow[Job]:
    """Submit the same request once more; return the new job."""
    path, headers = route("jobs", _id_of(job), "retry"), named(idempotency_key)
    return asked(Job, Request(method="POST", path=path, headers=headers))


def release(job: Job | str) -> Flow[Job]:
    """Let a job go on that is held, because a call of it may have been billed.

    Raises:
        Conflict: It is not held.
    """
    path = route("jobs", _id_of(job), "release")
    return asked(Job, Request(method="POST", path=path))


def delete(job: Job | str) -> Flow[None]:
    """Remove a job and its images; twice is the same as once."""
    with suppress(Deleted):
        yield Request(method="DELETE", path=route("jobs", _id_of(job)))


def image(
    job: Job | str,
    index: int = 0,
    *,
    output_format: str | None = None,
    width: int | None = None,
) -> Flow[bytes]:
    """Return the bytes of a job's image.

    Args:
        job: Which, or its id.
        index: From 0.
        output_format: `png`, `jpeg` or `webp`; None: as it was made.
        width: Pixels, about; None: as it was made.
    """
    path = route("jobs", _id_of(job), "images", index)
    params = {"format": output_format, "width": width}
    response: httpx.Response = yield Request(path=path, params=params)
    return response.content


def download(url: str) -> Flow[bytes]:
    """Return what a signed URL reads; the API key does not go there."""
    response: httpx.Response = yield Request(path=url)
    return response.content


def _id_of(job: Job | str) -> str:
    return job.id if isinstance(job, Job) else job
