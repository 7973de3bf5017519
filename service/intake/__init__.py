"""Use cases of the front door: submit, cancel and delete a job."""

import asyncio
import contextlib
import functools
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import NamedTuple, TypeAlias

from service.accounts import ApiKey
from service.batches import line_job_id
from service.catalog_file import LiveCatalog
from service.core.catalog import Catalog
from service.core.errors import (
    AlreadyFinished,
    JobDeleted,
    JobNotFound,
    NoRoute,
    NotFinished,
    QueueUnavailable,
    RequestError,
    RequestGone,
    ServiceError,
    StoreUnavailable,
)
from service.core.jobs import Job, new_job_id
from service.core.requests import Priority
from service.image_store import ImageStore
from service.intake.compose import Composed, compose, recompose
from service.intake.digests import cache_key_of, content_of
from service.intake.draft import Draft
from service.intake.inputs import Inputs, Stored
from service.intake.repeats import Repeats
from service.intake.routing import gated, in_order
from service.intake.uploads import NO_UPLOADS, Uploads
from service.intake.words import check_metadata
from service.job_store import JobStore, Submitted
from service.job_store.fleet import Fleet
from service.job_store.records import NewJob, Place, Webhook

__all__ = ["Accepted", "Intake", "Terms"]

_LOOK_AGAIN = timedelta(seconds=5)
"""About as often as the fleet is looked at."""
_Store: TypeAlias = Callable[[], Awaitable[Stored]]
"""Puts what a job starts from into the store."""


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
    """

    job: NewJob | Job
    content: str
    dropped: tuple[str, ...]

    @property
    def joined(self) -> bool:
        """Whether an earlier call made the job."""
        return isinstance(self.job, Job)


@dataclass(frozen=True, slots=True, kw_only=True)
class Intake:
    """The use cases, with all they work with."""

    live: LiveCatalog
    fleet: Fleet
    jobs: JobStore
    images: ImageStore
    repeats: Repeats
    inputs: Inputs

    async def submit(
        self,
        draft: Draft,
        *,
        key: ApiKey,
        terms: Terms,
        operation: str = "generate",
        uploads: Uploads = NO_UPLOADS,
    ) -> Accepted:
        """Write a job down, or find the one that an earlier equal call made.

        Args:
            draft: What the caller wrote.
            key: Who calls.
            terms: How the job is to be run.
            operation: `generate`, `edit` or `variation`.
            uploads: The images of an edit or variation.

        Raises:
            InvalidRequest: The draft cannot be honored; nothing was written.
            InvalidReference: A link leads to no image that can be had.
            Forbidden: The key may not ask for this model.
            IdempotencyMismatch: The name was used for another request.
            TooMuch: `queue_full` or `quota_exceeded`.
            NoRoute: No worker that is alive can call a provider of the model.
            QueueUnavailable: Nothing was written, nor will be.
            StoreUnavailable: Likewise.
        """
        catalog = self.live.current
        composed = compose(
            draft, key=key, catalog=catalog, operation=operation, uploads=uploads
        )
        check_metadata(terms.metadata or {})
        if draft.cache:
            terms = replace(terms, cache_key=cache_key_of(composed.request, uploads))
        counts = terms.sdk_retry is not None and terms.idempotency_name is None
        content = ""
        if counts or terms.has_name:
            content = content_of(composed.request, uploads, *terms.conditions)
        job = None
        if counts and terms.sdk_retry:
            job = await self._earlier(key, content, terms.sdk_retry)
        in_vain = self._in_vain(composed, terms)
        if job is None and (uploads.images or in_vain):
            job = await self._known(key, terms, content)
        if job is None and in_vain:
            raise _no_route()
        if job is None:
            new = await self._new(
                composed, key=key, terms=terms, content=content, catalog=catalog
            )
            store = functools.partial(
                self.inputs.store, new.id, uploads, account=key.account
            )
            new, submitted = await self._written(
                new, store if uploads.images else None, counts=counts
            )
            if not submitted.joined:
                return Accepted(new, content, composed.dropped)
            job = await self.jobs.get(submitted.job_id, account=key.account)
        return Accepted(job, content, composed.dropped)

    async def retry(self, job: Job, *, key: ApiKey, name: str | None) -> Accepted:
        """Make a new job with the request of one that is final.

        Args:
            job: Whose request it is.
            key: Who calls.
            name: The caller's `Idempotency-Key`.

        Raises:
            NotFinished: It is under way.
            RequestGone: Its request is not kept any more.
            RequestError: See `submit`.
        """
        if not job.state.is_final:
            raise NotFinished("the job is under way; cancel it, or wait for its end")
        if job.ephemeral:
            raise RequestGone("nothing of the job's request was kept")
        terms = Terms(
            priority=job.priority,
            metadata=job.metadata or None,
            idempotency_name=name,
            retry_of=job.id,
        )
        content = content_of(job.request, NO_UPLOADS, job.id)
        catalog = self.live.current
        composed = recompose(job.request, key=key, catalog=catalog)
        if self._in_vain(composed, terms):
            known = await self._known(key, terms, content)
            if known is None:
                raise _no_route()
            return Accepted(known, content, ())
        new = await self._new(
            composed, key=key, terms=terms, content=content, catalog=catalog
        )
        copy = functools.partial(self.inputs.copy, new.id, job.request)
        new, submitted = await self._written(
            new, copy if job.request.images else None, counts=False
        )
        if not submitted.joined:
            return Accepted(new, content, ())
        known = await self.jobs.get(submitted.job_id, account=key.account)
        return Accepted(known, content, ())

    async def cancel(self, job_id: str, *, account: str) -> Job:
        """Make the job canceled, running or not; twice is the same as once.

        Raises:
            JobNotFound: Never made, or somebody else's.
            AlreadyFinished: It has another final state.
        """
        return await self.jobs.cancel(job_id, account=account)

    async def release(self, job_id: str, *, account: str) -> Job:
        """Let a held job go on.

        Raises:
            JobNotFound: Never made, or somebody else's.
            NotHeld: It is not, or not any more.
        """
        return await self.jobs.release(job_id, account=account)

    async def delete(self, job_id: str, *, account: str) -> None:
        """Remove the job, its images first, canceling it where it is not final.

        A worker that learns of the cancellation late may still put an image down;
        the sweep removes what belongs to no job.

        Raises:
            JobNotFound: Never made, or somebody else's.
            JobDeleted: It is gone already.
            StoreUnavailable: Images are still there, and so is the job.
        """
        job = await self.jobs.get(job_id, account=account)
        if not job.state.is_final:
            with contextlib.suppress(AlreadyFinished):
                await self.jobs.cancel(job_id, account=account)
        for image_key in await self.images.list(f"jobs/{job.id}/"):
            await self.images.delete(image_key)
        await self.jobs.forget([job.id])

    async def purge(self, job_id: str) -> None:
        """Remove what is left of an ephemeral job whose answer has gone out whole.

        Where Redis or the store is away, the sweep does it later.
        """
        with contextlib.suppress(StoreUnavailable, QueueUnavailable):
            for key in await self.images.list(f"jobs/{job_id}/"):
                await self.images.delete(key)
            await self.jobs.purge(job_id)

    async def _new(
        self,
        composed: Composed,
        *,
        key: ApiKey,
        terms: Terms,
        content: str,
        catalog: Catalog,
    ) -> NewJob:
        model = catalog.model(composed.request.model)
        routes = await in_order(composed.routes, model, self.jobs)
        return _new_job(
            composed._replace(routes=routes),
            key=key,
            terms=terms,
            content=content,
            catalog=catalog,
        )

    def _in_vain(self, composed: Composed, terms: Terms) -> bool:
        """Whether nobody could run the job; lines of a batch are accepted already."""
        return terms.place is None and self.fleet.waits_for_nobody(composed.routes)

    async def _written(
        self, new: NewJob, store: _Store | None, *, counts: bool
    ) -> tuple[NewJob, Submitted]:
        """Submit, the images first: a worker must never meet a job without them."""
        if store is not None:
            new = await self._with_inputs(new, store)
        submission = self.jobs.submit(new)
        try:
            if counts:
                opened = self.repeats.opened(
                    new.id, key_id=new.key_id, content=new.content_hash
                )
                submitted, _ = await asyncio.gather(submission, opened)
            else:
                submitted = await submission
        except RequestError:
            await self._without_inputs(new)
            raise
        # Behind a QueueUnavailable the job may live all the same: nothing is removed
        # then, and the sweep looks whether it does.
        if submitted.joined:
            await self._without_inputs(new)
        return new, submitted

    async def _with_inputs(self, new: NewJob, store: _Store) -> NewJob:
        await self.jobs.announce(new.id)
        try:
            stored = await store()
        except ServiceError:
            await self._without_inputs(new)
            raise
        request = replace(new.request, images=stored.images, mask=stored.mask)
        return replace(new, request=request)

    async def _without_inputs(self, new: NewJob) -> None:
        if new.place is not None:  # somebody else may have made a job of the line
            return
        with contextlib.suppress(StoreUnavailable):  # the sweep finds what is left
            await self.inputs.drop(new.id)

    async def _known(self, key: ApiKey, terms: Terms, content: str) -> Job | None:
        """Return the job that would be joined; nothing needs to be stored for that."""
        if terms.place is not None:
            return await self._line(terms.place, key)
        job = None
        if terms.idempotency_name is not None:
            job = await self.jobs.named(key.account, terms.idempotency_name, content)
        if job is None and terms.alias is not None:
            job = await self.jobs.aliased(key.account, terms.alias, content)
        if job is None and terms.cache_key is not None and not terms.ephemeral:
            job = await self.jobs.cached(key.account, terms.cache_key)
        return job

    async def _line(self, place: Place, key: ApiKey) -> Job | None:
        """Return the job that was made of a line before; a deleted one was, too."""
        job_id = line_job_id(place.batch_id, place.line)
        with contextlib.suppress(JobNotFound):
            return await self.jobs.get(job_id, account=key.account)
        return None

    async def _earlier(self, key: ApiKey, content: str, count: int) -> Job | None:
        job_id = await self.repeats.join(key_id=key.id, content=content, count=count)
        if job_id is None:
            return None
        try:
            return await self.jobs.get(job_id, account=key.account)
        except (JobNotFound, JobDeleted):
            return None


def _no_route() -> NoRoute:
    return NoRoute(
        "no worker can call a provider of this model", retry_after=_LOOK_AGAIN
    )


def _new_job(
    composed: Composed, *, key: ApiKey, terms: Terms, content: str, catalog: Catalog
) -> NewJob:
    request = composed.request
    model = catalog.model(request.model)
    if terms.partial_images:
        request = replace(request, partial_images=terms.partial_images)
    place = terms.place
    return NewJob(
        id=line_job_id(place.batch_id, place.line) if place else new_job_id(),
        account=key.account,
        key_id=key.id,
        priority=Priority.INTERACTIVE if terms.awaited else terms.priority,
        request=request,
        routes=gated(composed.routes, model, catalog),
        weight=key.weight,
        units=composed.units,
        quota=key.quota_units,
        most_queued=key.queued_jobs,
        most_running=key.running_jobs,
        start_within=terms.start_within,
        metadata=terms.metadata,
        idempotency_name=terms.idempotency_name,
        content_hash=content,
        cache_key=terms.cache_key,
        ephemeral=terms.ephemeral,
        webhook=terms.webhook,
        place=place,
        alias=terms.alias,
        retry_of=terms.retry_of,
        on_ambiguous=key.on_ambiguous,
    )
