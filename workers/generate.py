"""The task: one attempt of one job, from its request to images in the store.

    receipt of an earlier claim? --> its images, nothing is bought
    upstream tasks of one? --> its route, where they are looked at
    route --> provider --> decode, check --> store images, then receipt --> Outcome

The receipt is written last, so whoever finds one finds all its images. Every later
claim looks for one before it calls a provider: a worker that died between the
store and the commit has bought nothing in vain.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog

from service.core.catalog import Catalog, Route
from service.core.errors import (
    ProviderAmbiguous,
    ProviderError,
    ServiceError,
    UnknownModel,
)
from service.core.jobs import Attempt, JobState, StoredImage
from service.core.provider import Call, Generated, Provider
from service.core.requests import GenerationRequest
from service.core.retries import RetryPolicy
from service.core.sizing import Size
from service.image_store import ImageStore
from service.imaging import Imaging
from service.job_store.lease import Lease
from service.job_store.leases import Leases
from service.job_store.records import Later, Outcome
from workers.inputs import AS_SENT, Inputs
from workers.keeping import keep_images
from workers.partials import Partials
from workers.progress import Progress
from workers.receipts import find_receipt, put_receipt
from workers.tasks import Tasks
from workers.verdicts import after_failure, failed, goes_on, ms_since, unroutable

log = structlog.get_logger()

_MOST_USD = 10_000
"""A provider that reports more for one call is not speaking of dollars."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerContext:
    """What every attempt works with; `ctx["worker"]` of the engine.

    Attributes:
        providers: By their name in the catalog; one without a key is absent.
        attempt_timeout: No attempt takes longer, whatever the provider's own is.
        dice: See `RetryPolicy.wait_after`.
    """

    catalog: Catalog
    leases: Leases
    providers: Mapping[str, Provider]
    images: ImageStore
    imaging: Imaging
    inputs: Inputs
    partials: Partials
    retries: RetryPolicy
    attempt_timeout: timedelta
    dice: Callable[[], float] = random.random


async def generate(ctx: dict[str, Any], lease: Lease) -> Outcome | Later:
    """Make one attempt; say what it came to.

    May run more than once for a job: image keys carry the fence, so a run that
    was given up by the queue never touches the bytes of the one that counts.
    """
    worker: WorkerContext = ctx["worker"]
    with structlog.contextvars.bound_contextvars(
        job_id=lease.job_id, fence=lease.fence, attempt=lease.attempts + 1
    ):
        if lease.fence > 1 and (found := await find_receipt(worker.images, lease)):
            log.info("receipt.found", images=len(found.images))
            return found
        return await _attempt(worker, lease)


async def _attempt(worker: WorkerContext, lease: Lease) -> Outcome | Later:
    request, started = lease.request, datetime.now(UTC)
    routes = _routes(worker, lease, request.model)
    route = _route(lease, routes)
    if route is None:
        return unroutable(request, started)
    tasks, generated = Tasks(worker.leases, lease, route), None
    try:
        generated = await _generated(worker, lease, route, request, tasks)
        images = await keep_images(
            worker.images, worker.imaging, lease, request, generated
        )
    except ProviderError as error:
        verdict = after_failure(
            lease,
            failed(
                route, started, error, cost=_spent(worker, request, error, generated)
            ),
            error,
            routes=routes,
            retries=worker.retries,
            dice=worker.dice(),
        )
        if isinstance(verdict, Later):
            verdict = replace(verdict, goes_on=goes_on(error, tasks.known))
        return verdict
    cost_usd, cost_source = _cost(worker, request, generated, len(images))
    attempt = Attempt(
        provider=route.provider,
        model=route.provider_model,
        started_at=started,
        ms=ms_since(started),
        upstream_id=generated.upstream_id,
        cost_usd=cost_usd,
        cost_source=cost_source,
        billed=True,
    )
    outcome = _succeeded(request, attempt, images, generated.usage)
    await put_receipt(worker.images, lease, outcome)
    log.info("attempt.succeeded", route=str(route), images=len(images), ms=attempt.ms)
    return outcome


def _routes(worker: WorkerContext, lease: Lease, model: str) -> Sequence[Route]:
    """Return the routes the job has left that this process can call."""
    if lease.routes:
        routes = tuple(Route.parse(route) for route in lease.routes)
    else:
        try:
            routes = worker.catalog.model(model).routes
        except UnknownModel:  # the catalog of the front door was newer
            return ()
    return [route for route in routes if route.provider in worker.providers]


async def _generated(
    worker: WorkerContext,
    lease: Lease,
    route: Route,
    request: GenerationRequest,
    tasks: Tasks,
) -> Generated:
    provider = worker.providers[route.provider]
    style = getattr(provider, "mask_style", AS_SENT)
    async with worker.inputs.of(request, mask_style=style) as loaded:
        progress = Progress(worker.leases, lease)
        call = Call(
            attempt=lease.attempts + 1,
            images=loaded.images,
            mask=loaded.mask,
            partial=_partials(worker, lease, request, progress),
            progress=progress.note,
            kept_tasks=tasks.known,
            keep_tasks=tasks.keep,
        )
        try:
            return await _call(worker, route, request, call)
        finally:
            progress.close()


def _partials(
    worker: WorkerContext,
    lease: Lease,
    request: GenerationRequest,
    progress: Progress,
) -> Callable[[bytes, int], Awaitable[None]]:
    """Return what shows an unfinished image; each is a step towards the finished."""
    show = worker.partials.of(lease, request)

    async def partial(data: bytes, index: int) -> None:
        progress.note((index + 1) / (request.partial_images + 1))
        await show(data, index)

    return partial


def _route(lease: Lease, routes: Sequence[Route]) -> Route | None:
    """Return whose turn it is: chosen with the claim, else by attempts."""
    kept = None if lease.kept is None else lease.kept.route
    for chosen in (lease.route, kept):
        for route in routes:
            if chosen == str(route):
                return route
    return routes[lease.attempts % len(routes)] if routes else None


async def _call(
    worker: WorkerContext, route: Route, request: GenerationRequest, call: Call
) -> Generated:
    patience = min(
        worker.catalog.providers[route.provider].timeout, worker.attempt_timeout
    )
    try:
        async with asyncio.timeout(patience.total_seconds()):
            return await worker.providers[route.provider].generate(
                request, model=route.provider_model, call=call
            )
    except TimeoutError as exc:
        raise ProviderAmbiguous(
            f"the provider did not answer within {patience.total_seconds():g} s"
        ) from exc
    except ServiceError:
        raise
    except Exception as exc:  # a bug of the adapter, perhaps behind a paid answer
        log.exception("adapter.crashed", provider=route.provider)
        raise ProviderAmbiguous("the provider's answer could not be read") from exc


def _succeeded(
    request: GenerationRequest,
    attempt: Attempt,
    images: tuple[StoredImage, ...],
    usage: dict[str, int] | None,
) -> Outcome:
    error = None
    if len(images) < request.n:
        error = {
            "code": "partial_result",
            "message": f"{len(images)} of {request.n} images were made",
        }
    return Outcome(
        state=JobState.SUCCEEDED,
        attempt=attempt,
        images=images,
        error=error,
        usage=usage,
        cost_usd=attempt.cost_usd,
        cost_source=attempt.cost_source,
        asked=request.n,
        model=request.model,
    )


def _spent(
    worker: WorkerContext,
    request: GenerationRequest,
    error: ProviderError,
    made: Generated | None,
) -> tuple[str | None, str | None]:
    """Return what a failed attempt cost, as far as it was billed for certain."""
    if error.billed is not True:
        return None, None
    return _cost(worker, request, made, request.n)


def _cost(
    worker: WorkerContext,
    request: GenerationRequest,
    made: Generated | None,
    count: int,
) -> tuple[str | None, str | None]:
    """Return US dollars as decimal text, and who says so; the provider's word wins."""
    said = None if made is None else made.cost_usd
    if said is not None and said.is_finite() and 0 <= said <= _MOST_USD:
        return str(said), "reported"
    try:
        model = worker.catalog.model(request.model)
    except UnknownModel:  # gone from the catalog, while the job waited
        return None, None
    quote = model.quote_for(
        quality=request.quality,
        size=request.size,
        tier=Size(request.width, request.height).tier,
    )
    return (None, None) if quote is None else (str(quote.usd * count), quote.source)
