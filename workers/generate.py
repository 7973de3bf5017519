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

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from redis.exceptions import RedisError

from service.core.catalog import Catalog, Route
from service.core.errors import (
    BadOutput,
    PromptRejected,
    ProviderAmbiguous,
    ProviderError,
    ServiceError,
    UnknownModel,
)
from service.core.jobs import Attempt, JobState, StoredImage
from service.core.provider import Call, Generated, Provider
from service.core.requests import GenerationRequest
from service.core.retries import OnAmbiguous, RetryPolicy
from service.image_store import ImageStore
from service.imaging import Imaging
from service.job_store.lease import Lease
from service.job_store.leases import Leases
from service.job_store.records import Later, Outcome
from workers import pricing
from workers.hedging import Hedge, Running, Try, first_answer, once
from workers.inputs import AS_SENT, Inputs
from workers.keeping import keep_images
from workers.partials import Partials
from workers.progress import Progress
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
    if lease.in_doubt and lease.kept is None:
        return left_open(lease, route, started)
    tasks = Tasks(worker.leases, lease, route)
    tried, other = await _tried(worker, lease, routes, tasks)
    if other is not None and other.error is not None:
        routes = routes_behind(routes, other)
    verdict = await _bought(worker, replace(lease, kept=tasks.kept), tried, routes)
    if other is not None:
        verdict = beside(verdict, other, _aside(worker, request, other))
    if isinstance(verdict, Outcome) and verdict.images:
        await put_receipt(worker.images, lease, verdict)
    return verdict


async def _tried(
    worker: WorkerContext, lease: Lease, routes: Sequence[Route], tasks: Tasks
) -> tuple[Try, Try | None]:
    """Return the call that decides, and the one beside it if there was one."""
    request, route = lease.request, tasks.route

    async def call_first() -> Generated:
        progress = Progress(worker.leases, lease)
        try:
            return await _generated(
                worker,
                lease,
                route,
                request,
                partial=_partials(worker, lease, request, progress),
                progress=progress.note,
                kept_tasks=tasks.known,
                keep_tasks=tasks.keep,
            )
        finally:
            progress.close()

    after = _hedged_after(worker, lease)
    others = [str(other) for other in routes if other != route]
    if after is None or not others:
        return await once(route, call_first), None

    async def begin() -> Running | None:
        chosen = await _permitted(worker, lease, others)
        if chosen is None:
            return None
        log.info("attempt.hedged", route=str(route), beside=str(chosen))
        return Running(chosen, lambda: _generated(worker, lease, chosen, request))

    def stands(error: ProviderError) -> bool:
        return isinstance(error, PromptRejected) and not request.failover_on_refusal

    hedge = Hedge(after=after, begin=begin, stands=stands)
    return await first_answer(Running(route, call_first), hedge)


def _hedged_after(worker: WorkerContext, lease: Lease) -> timedelta | None:
    """Return when a second call may begin; None: never.

    A key that wants to be asked before images are bought twice is not hedged, and
    neither is what was bought before.
    """
    asks = lease.on_ambiguous is not OnAmbiguous.RETRY
    if asks or lease.route is None or lease.kept is not None:
        return None
    try:
        return worker.catalog.model(lease.request.model).hedge_after
    except UnknownModel:
        return None


async def _permitted(
    worker: WorkerContext, lease: Lease, others: Sequence[str]
) -> Route | None:
    try:
        route = await worker.leases.hedge(lease, others)
    except (RedisError, OSError) as exc:
        log.warning("hedge.failed", error=type(exc).__name__)
        return None
    return None if route is None else Route.parse(route)


async def _bought(
    worker: WorkerContext, lease: Lease, tried: Try, routes: Sequence[Route]
) -> Outcome | Later:
    """Return what a call comes to, with its images in the store."""
    request, made, error, ms = lease.request, tried.made, tried.error, tried.ms
    if made is not None:
        try:
            images = await keep_images(
                worker.images, worker.imaging, lease, request, made
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
    **beside: Any,
) -> Generated:
    """Call a provider; `beside` is what `Call` takes beside the inputs."""
    provider = worker.providers[route.provider]
    style = getattr(provider, "mask_style", AS_SENT)
    async with worker.inputs.of(request, mask_style=style) as loaded:
        call = Call(
            attempt=lease.attempts + 1,
            images=loaded.images,
            mask=loaded.mask,
            **beside,
        )
        return await _call(worker, route, request, call)


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
