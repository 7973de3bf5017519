"""Use cases of the front door: submit, cancel and delete a job."""

from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial

from service.accounts import ApiKey, balance_of
from service.catalog_file import LiveCatalog
from service.core.errors import (
    AlreadyFinished,
    NoRoute,
    NotFinished,
    QueueUnavailable,
    RequestGone,
    StoreUnavailable,
)
from service.core.jobs import Job
from service.image_store import ImageStore
from service.intake.calls import Call
from service.intake.compose import compose, recompose
from service.intake.digests import cache_key_of, content_of
from service.intake.draft import Draft
from service.intake.earlier import Earlier
from service.intake.inputs import Inputs
from service.intake.repeats import Repeats
from service.intake.routing import in_order
from service.intake.terms import Accepted, Terms
from service.intake.uploads import NO_UPLOADS, Uploads
from service.intake.words import check_metadata
from service.intake.writing import Store, Writer
from service.job_store import JobStore
from service.job_store.fleet import Fleet

__all__ = ["Accepted", "Intake", "Terms"]

_LOOK_AGAIN = timedelta(seconds=5)
"""About as often as the fleet is looked at."""


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
        content = ""
        if terms.has_count or terms.has_name:
            content = content_of(composed.request, uploads, *terms.conditions)
        store = None
        if uploads.images:
            store = partial(self.inputs.store, uploads=uploads, account=key.account)
        return await self._accept(Call(composed, catalog, key, terms, content), store)

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
        store = None
        if job.request.images:
            store = partial(self.inputs.copy, request=job.request)
        return await self._accept(Call(composed, catalog, key, terms, content), store)

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
            with suppress(AlreadyFinished):
                await self.jobs.cancel(job_id, account=account)
        for image_key in await self.images.list(f"jobs/{job.id}/"):
            await self.images.delete(image_key)
        await self.jobs.forget([job.id])

    async def purge(self, job_id: str) -> None:
        """Remove what is left of an ephemeral job whose answer has gone out whole.

        Where Redis or the store is away, the sweep does it later.
        """
        with suppress(StoreUnavailable, QueueUnavailable):
            for key in await self.images.list(f"jobs/{job_id}/"):
                await self.images.delete(key)
            await self.jobs.purge(job_id)

    async def _accept(self, call: Call, store: Store | None) -> Accepted:
        composed, terms = call.composed, call.terms
        earlier = Earlier(self.jobs, self.repeats)
        job = await earlier.retried(call)
        in_vain = self._in_vain(call)
        if job is None and (store is not None or in_vain):
            job = await earlier.known(call)
        if job is not None:
            return Accepted(job, call.content, composed.dropped)
        if in_vain:
            raise NoRoute(
                "no worker can call a provider of this model", retry_after=_LOOK_AGAIN
            )
        routes = await in_order(composed.routes, call.model, self.jobs)
        writer = Writer(self.jobs, self.inputs, self.repeats)
        new, submitted = await writer.write(
            call.to_job(routes), store, counted=terms.has_count
        )
        balance = balance_of(call.key, reserved=submitted.reserved, used=submitted.used)
        if not submitted.joined:
            return Accepted(new, call.content, composed.dropped, balance)
        job = await self.jobs.get(submitted.job_id, account=call.key.account)
        return Accepted(job, call.content, composed.dropped, balance)

    def _in_vain(self, call: Call) -> bool:
        """Whether nobody could run the job; lines of a batch are accepted already."""
        routes = call.composed.routes
        return call.terms.place is None and self.fleet.waits_for_nobody(routes)
