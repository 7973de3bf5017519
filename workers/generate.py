"""The task: one attempt of one job, from its request to images in the store.

    receipt of an earlier claim? --> its images, nothing is bought
    upstream tasks of one? --> its route, where they are looked at
    nobody knows what became of one? --> what its key wants done then
    route --> provider, a second where it is slow --> decode, check
          --> store images, then receipt --> Outcome

The receipt is written last, so whoever finds one finds all its images. Every later
claim looks for one before it calls a provider: a worker that died between the
store and the commit has bought nothing in vain.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import structlog

from service import tracing
from service.core.catalog import Route
from service.core.errors import BadOutput
from service.core.jobs import Attempt, JobState, StoredImage
from service.core.provider import Generated
from service.core.requests import GenerationRequest
from service.job_store.lease import Lease
from service.job_store.outcomes import Later, Outcome
from workers import pricing
from workers.calling import called, route_of, routes_of
from workers.context import WorkerContext
from workers.hedging import Try
from workers.keeping import keep_images
from workers.receipts import find_receipt, put_receipt
from workers.tasks import Tasks
from workers.verdicts import (
    after_failure,
    beside,
    failed,
    left_open,
    ms_since,
    routes_behind,
    unroutable,
)

log = structlog.get_logger()


async def generate(ctx: dict[str, Any], lease: Lease) -> Outcome | Later:
    """Make one attempt; say what it came to.

    May run more than once for a job: image keys carry the fence, so a run that
    was given up by the queue never touches the bytes of the one that counts.
    """
    worker: WorkerContext = ctx["worker"]
    above = await worker.leases.traceparent(lease) if tracing.is_on() else None
    with (
        tracing.span("attempt", parent=above, kind="consumer") as span,
        structlog.contextvars.bound_contextvars(
            job_id=lease.job_id,
            fence=lease.fence,
            attempt=lease.attempts + 1,
            **tracing.ids(),
        ),
    ):
        span.note(darkroom_job_id=lease.job_id, darkroom_attempt=lease.attempts + 1)
        if lease.fence > 1 and (found := await find_receipt(worker.images, lease)):
            log.info("receipt.found", images=len(found.images))
            return found
        return await _attempt(worker, lease)


async def _attempt(worker: WorkerContext, lease: Lease) -> Outcome | Later:
    request, started = lease.request, datetime.now(UTC)
    routes = routes_of(worker, lease, request.model)
    route = route_of(lease, routes)
    if route is None:
        return unroutable(request, started)
    if lease.in_doubt and lease.kept is None:
        return left_open(lease, route, started)
    tasks = Tasks(worker.leases, lease, route)
    first, other = await called(worker, lease, routes, tasks)
    if other is not None and other.error is not None:
        routes = routes_behind(routes, other)
    verdict = await _bought(worker, replace(lease, kept=tasks.kept), first, routes)
    if other is not None:
        verdict = beside(verdict, other, _aside(worker, request, other))
    if isinstance(verdict, Outcome) and verdict.images:
        await put_receipt(worker.images, lease, verdict)
    return verdict


async def _bought(
    worker: WorkerContext, lease: Lease, tried: Try, routes: Sequence[Route]
) -> Outcome | Later:
    """Return what a call comes to, with its images in the store."""
    request, made, error, ms = lease.request, tried.made, tried.error, tried.ms
    if made is not None:
        try:
            tally = worker.leases.tally
            with tally.timed("keep"):
                images = await keep_images(
                    worker.images, worker.imaging, lease, request, made, tally
                )
        except BadOutput as exc:
            error, ms = exc, ms_since(tried.started)
        else:
            return _succeeded(worker, request, tried, made, images)
    if error is None:
        raise RuntimeError("a call that was called off decides nothing")
    spent = pricing.spent(worker.catalog, request, error, made)
    return after_failure(
        lease,
        failed(tried.route, tried.started, error, cost=spent, ms=ms),
        error,
        routes=routes,
        gated=any(worker.catalog.providers[r.provider].is_gated for r in routes),
        retries=worker.retries,
        dice=worker.dice(),
    )


def _aside(worker: WorkerContext, request: GenerationRequest, other: Try) -> Attempt:
    """Return the call that did not decide, as it goes into the trail."""
    route, made = other.route, other.made
    if other.error is not None:
        spent = pricing.spent(worker.catalog, request, other.error, None)
        return failed(route, other.started, other.error, cost=spent, ms=other.ms)
    cost_usd, cost_source = None, None
    if made is not None:
        cost_usd, cost_source = pricing.cost(
            worker.catalog, request, made, len(made.images)
        )
    return Attempt(
        provider=route.provider,
        model=route.provider_model,
        started_at=other.started,
        ms=other.ms,
        outcome="canceled",
        cost_usd=cost_usd,
        cost_source=cost_source,
        billed=None if made is None else True,
    )


def _succeeded(
    worker: WorkerContext,
    request: GenerationRequest,
    tried: Try,
    made: Generated,
    images: tuple[StoredImage, ...],
) -> Outcome:
    cost_usd, cost_source = pricing.cost(worker.catalog, request, made, len(images))
    attempt = Attempt(
        provider=tried.route.provider,
        model=tried.route.provider_model,
        started_at=tried.started,
        ms=ms_since(tried.started),
        upstream_id=made.upstream_id,
        cost_usd=cost_usd,
        cost_source=cost_source,
        billed=True,
    )
    error = None
    if len(images) < request.n:
        error = {
            "code": "partial_result",
            "message": f"{len(images)} of {request.n} images were made",
        }
    log.info(
        "attempt.succeeded",
        route=str(tried.route),
        images=len(images),
        ms=attempt.ms,
    )
    return Outcome(
        state=JobState.SUCCEEDED,
        attempt=attempt,
        images=images,
        error=error,
        usage=made.usage,
        cost_usd=cost_usd,
        cost_source=cost_source,
        asked=request.n,
        model=request.model,
    )
