"""How a job is to be run, how its call may be repeated, and what came of the call."""

from dataclasses import dataclass
from datetime import timedelta
from typing import NamedTuple

from service.accounts import Balance
from service.core.jobs import Job
from service.core.requests import Priority
from service.job_store.records import NewJob, Place, Webhook


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """How a job is to be run, and how its call may be repeated.

    Attributes:
        priority: What the caller says of it.
        awaited: Somebody waits for the images, so that the job is interactive
            whatever is said; a repeat may wait or not, and joins all the same.
        start_within: It expires unless it has started by then; None: never.
        idempotency_name: The caller's `Idempotency-Key`.
        sdk_retry: How often an SDK without such a key has sent this call before;
            None: the caller does not count, or does not wait for the images.
        cache_key: Hex digest of what decides the images: an equal request's job
            answers for this one, without charge; None: it is made anew, unless the
            draft itself asks for the cache.
        ephemeral: Nothing of it is kept once the answer has gone out.
        partial_images: How many unfinished states of the image are shown meanwhile.
        webhook: Whom the job tells itself; None: only the account's endpoints.
        alias: What the caller calls the job; a call under the same one joins it.
        retry_of: The job that is made anew.
        place: Which line of which batch it is, which decides its id; None: of none.
    """

    priority: Priority = Priority.NORMAL
    awaited: bool = False
    metadata: dict[str, str] | None = None
    start_within: timedelta | None = None
    idempotency_name: str | None = None
    sdk_retry: int | None = None
    cache_key: str | None = None
    ephemeral: bool = False
    partial_images: int = 0
    webhook: Webhook | None = None
    alias: str | None = None
    retry_of: str | None = None
    place: Place | None = None

    @property
    def has_name(self) -> bool:
        """Whether the caller gave the call a name by which a repeat is known."""
        return self.idempotency_name is not None or self.alias is not None

    @property
    def has_count(self) -> bool:
        """Whether nothing but an SDK's count tells a repeat from a call made anew."""
        return self.sdk_retry is not None and self.idempotency_name is None

    @property
    def conditions(self) -> tuple[object, ...]:
        """What two calls must agree in to be repeats of one, beside the request."""
        within = self.start_within
        seconds = None if within is None else within.total_seconds()
        return (
            self.metadata or {},
            self.priority,
            seconds,
            self.ephemeral,
            self.partial_images,
            self.webhook and (self.webhook.to_record(), self.webhook.events),
        )


class Accepted(NamedTuple):
    """The job that answers for a call.

    Attributes:
        job: What was written down just now, or the job of an earlier call as it
            stands.
        content: Equal for equal calls; empty where nobody may repeat this one.
        dropped: Fields the model cannot honor, which the caller let go.
        balance: Of the key, by the step that wrote it down; None: none did.
    """

    job: NewJob | Job
    content: str
    dropped: tuple[str, ...]
    balance: Balance | None = None

    @property
    def joined(self) -> bool:
        """Whether an earlier call made the job."""
        return isinstance(self.job, Job)
