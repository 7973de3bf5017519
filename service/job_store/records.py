"""How a job is written down, and read back."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import orjson
from redis.asyncio import Redis
from redis.exceptions import RedisError

from service.core.jobs import Attempt, Job, JobId, JobState, StoredImage
from service.core.requests import GenerationRequest, Priority
from service.core.retries import OnAmbiguous
from service.job_store import keys
from service.job_store.times import maybe_time_of, time_of

VERSION = 1
"""Of the records written here. It rises with whatever a worker of the version before
would read wrongly; such a worker leaves the record alone (claim.lua)."""

_STATES = {state.value.encode(): state for state in JobState}
_PRIORITIES = {priority.value.encode(): priority for priority in Priority}
_UNCLAIMED, _TRIED = b"0", (b"attempt:", b"hedge:")


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """Who is told of one job, or of one batch, beside the account's endpoints.

    Attributes:
        events: Types such as `job.succeeded`; `*`: all that are told unasked.
        secret: Signs what is sent, `whsec_` and base64; None: the account's own does.
    """

    url: str
    events: tuple[str, ...] = ("*",)
    secret: str | None = field(default=None, repr=False)

    def to_record(self) -> str:
        """Return what deliveries carry; `events` lie in a field of their own."""
        secret = {} if self.secret is None else {"secret": self.secret}
        return orjson.dumps({"url": self.url, **secret}).decode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Which line of which batch a job is.

    Attributes:
        line: From 0.
        custom_id: What the caller calls it.
    """

    batch_id: str
    line: int
    custom_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewJob:
    """All that `submit` needs to know of one job.

    Attributes:
        weight: Of the account, at least 1: its share of the fleet.
        units: Quota units to reserve.
        quota: Most units the key may use in the calendar month; None: no limit.
        most_queued: Most unfinished jobs the key may have.
        most_running: Most jobs of the key that may run at once, the others wait;
            None: no limit.
        start_within: It expires unless it has started by then; None: never.
        idempotency_name: At most 255 characters, of the caller's choosing.
        content_hash: Equal for equal requests; decides whether a name was reused.
        webhook: Whom it tells itself; None: only the account's endpoints are told.
        alias: What the caller calls it; equal aliases mean equal jobs.
        retry_of: The job whose request it repeats.
        place: Its line in a batch; None: it is of none.
        cache_key: Hex digest of what decides the images; a job of the account that
            has it, under way or done whole, answers for this one. None: never.
        ephemeral: Whether prompt, inputs and images go when it was delivered; such a
            job answers for no other.
        routes: `provider/provider model` in the order of preference; which of them an
            attempt takes is decided when it begins. None: the worker decides.
        on_ambiguous: What is done where nobody knows whether it was bought.
        traceparent: Of the call that made it; None: it was in no trace.
    """

    id: JobId
    account: str
    key_id: str
    priority: Priority
    request: GenerationRequest
    weight: int = 1
    units: int = 0
    quota: int | None = None
    most_queued: int = 100_000
    most_running: int | None = None
    start_within: timedelta | None = None
    metadata: dict[str, str] | None = None
    idempotency_name: str | None = None
    content_hash: str = ""
    webhook: Webhook | None = None
    alias: str | None = None
    retry_of: str | None = None
    place: Place | None = None
    cache_key: str | None = None
    ephemeral: bool = False
    routes: tuple[str, ...] = ()
    on_ambiguous: OnAmbiguous = OnAmbiguous.RETRY
    traceparent: str | None = None

    @property
    def cost(self) -> int:
        """How far the job moves its flow's tag: more images, more of a share."""
        share = self.priority.weight * self.weight
        return max(1, 1000 * self.request.n // share)


def more_json(new: NewJob) -> bytes:
    """Return the fields of a record that not all jobs have; empty where it has none."""
    more = {
        "alias": new.alias,
        "retry_of": new.retry_of,
        "traceparent": new.traceparent,
    }
    if new.on_ambiguous is not OnAmbiguous.RETRY:
        more["on_ambiguous"] = new.on_ambiguous.value
    if new.request.n > 1:
        more["images"] = str(new.request.n)
    if new.webhook is not None:
        more["webhook"] = new.webhook.to_record()
    if new.place is not None:
        more["batch"] = f"{new.place.batch_id} {new.place.line}"
        more["custom_id"] = new.place.custom_id
    if VERSION > 1:
        more["v"] = str(VERSION)
    told = {name: value for name, value in more.items() if value is not None}
    return orjson.dumps(told) if told else b""


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


async def read_traceparent(redis: Redis, job_id: str) -> str | None:
    """Return the `traceparent` of the call that made the job; None: it has none.

    What it serves is worth no error: without Redis there is none, either.
    """
    try:
        stored = await redis.hget(keys.job(job_id), "traceparent")  # type: ignore[misc]
    except (RedisError, OSError):
        return None
    return None if stored is None else stored.decode()


def read_request(stored: bytes) -> GenerationRequest:
    """Read what `request_json` wrote."""
    return GenerationRequest.from_record(orjson.loads(stored))


def read_job(job_id: JobId, stored: Mapping[bytes, bytes]) -> Job:
    """Read a record's fields, as HGETALL gives them."""
    fields, get = stored, stored.get
    state, result = _STATES[fields[b"state"]], get(b"result")
    made = orjson.loads(result) if result else {}
    error, metadata = get(b"error"), get(b"metadata")
    return Job(
        id=job_id,
        account=fields[b"account"].decode(),
        key_id=fields[b"key_id"].decode(),
        priority=_PRIORITIES[fields[b"priority"]],
        state=state,
        request=read_request(fields[b"request"]),
        created_at=time_of(fields[b"created_ms"]),
        started_at=maybe_time_of(get(b"started_ms")),
        completed_at=maybe_time_of(get(b"completed_ms")),
        deadline=maybe_time_of(get(b"deadline_ms")),
        due_at=maybe_time_of(get(b"due_ms")),
        expires_at=maybe_time_of(get(b"expires_ms")),
        fence=int(fields[b"fence"]),
        attempts=int(get(b"attempts", 0)),
        interruptions=int(get(b"interruptions", 0)),
        trail=_trail(fields),
        images=tuple(StoredImage(**image) for image in made.get("images", ())),
        error=None if error is None else orjson.loads(error),
        usage=made.get("usage"),
        cost_usd=made.get("cost_usd"),
        cost_source=made.get("cost_source"),
        units=int(get(b"units", 0)),
        ephemeral=b"shown" in fields,
        lost=b"lost" in fields,
        held=b"held" in fields and state is JobState.QUEUED,
        metadata={} if metadata is None else orjson.loads(metadata),
        progress=float(get(b"progress", 0)),
        alias=_text(get(b"alias")),
        retry_of=_text(get(b"retry_of")),
        custom_id=_text(get(b"custom_id")),
        **_place(get(b"batch")),
    )


def _place(stored: bytes | None) -> dict[str, Any]:
    if stored is None:
        return {}
    batch, line = stored.decode().split(" ")
    return {"batch": batch, "line": int(line)}


def _text(stored: bytes | None) -> str | None:
    return None if stored is None else stored.decode()


def _trail(fields: Mapping[bytes, bytes]) -> tuple[Attempt, ...]:
    """Return all attempts, of each claim the one that decided last."""
    if fields[b"fence"] == _UNCLAIMED:
        return ()
    found = []
    for name, stored in fields.items():
        if name.startswith(_TRIED):
            kind, _, fence = name.partition(b":")
            found.append((int(fence), kind == b"attempt", stored))
    return tuple(_read_attempt(stored) for _, _, stored in sorted(found))


def _read_attempt(stored: bytes) -> Attempt:
    fields = orjson.loads(stored)
    started = fields.pop("started_ms", None)
    known = {"provider": "", "model": "", **fields}
    return Attempt(started_at=None if started is None else time_of(started), **known)
