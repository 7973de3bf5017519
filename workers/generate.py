"""The task: one attempt of one job, from its request to images in the store.

    receipt of an earlier claim? --> its images, nothing is bought
    route --> provider --> decode, check --> store images, then receipt --> Outcome

The receipt is written last, so whoever finds one finds all its images. Every later
claim looks for one before it calls a provider: a worker that died between the
store and the commit has bought nothing in vain.
"""

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog

from service.core.catalog import Catalog, Route
from service.core.errors import (
    PromptRejected,
    ProviderAmbiguous,
    ProviderError,
    ProviderRefused,
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
from service.job_store.leases import Lease
from service.job_store.records import Outcome
from workers.engine import Later
from workers.inputs import load_images, load_mask
from workers.keeping import keep_images
from workers.receipts import find_receipt, put_receipt

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
    providers: Mapping[str, Provider]
    images: ImageStore
    imaging: Imaging
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
    routes = _routes(worker, request.model)
    if not routes:
        return _unroutable(request, started)
    route = routes[lease.attempts % len(routes)]
    try:
        call = Call(
            attempt=lease.attempts + 1,
            images=await load_images(worker.images, request),
            mask=await load_mask(
                worker.images,
                worker.imaging,
                request,
                worker.providers[route.provider],
            ),
        )
        generated = await _call(worker, route, request, call)
        images = await keep_images(
            worker.images, worker.imaging, lease, request, generated
        )
    except ProviderError as error:
        attempt = _failed(route, started, error)
        return _after(worker, lease, attempt, error, routes=len(routes))
    cost_usd, cost_source = _cost(worker, request, generated, len(images))
    attempt = Attempt(
        provider=route.provider,
        model=route.provider_model,
        started_at=started,
        ms=_ms_since(started),
        upstream_id=generated.upstream_id,
        cost_usd=cost_usd,
        cost_source=cost_source,
        billed=True,
    )
    outcome = _succeeded(request, attempt, images, generated.usage)
    await put_receipt(worker.images, lease, outcome)
    log.info("attempt.succeeded", route=str(route), images=len(images), ms=attempt.ms)
    return outcome


def _routes(worker: WorkerContext, model: str) -> Sequence[Route]:
    try:
        routes = worker.catalog.model(model).routes
    except UnknownModel:  # the catalog of the front door was newer
        return ()
    return [route for route in routes if route.provider in worker.providers]


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


def _after(
    worker: WorkerContext,
    lease: Lease,
    attempt: Attempt,
    error: ProviderError,
    *,
    routes: int,
) -> Outcome | Later:
    wait = worker.retries.wait_for(
        error, lease.attempts + 1, routes=routes, dice=worker.dice()
    )
    log.warning(
        "attempt.failed",
        provider=attempt.provider,
        code=error.code,
        retry_in_s=None if wait is None else round(wait.total_seconds(), 3),
    )
    if wait is not None:
        return Later(attempt=attempt, wait=wait)
    return _given_up(attempt, error)


def _failed(route: Route, started: datetime, error: ProviderError) -> Attempt:
    unbilled = isinstance(error, PromptRejected | ProviderRefused) and not error.billed
    return Attempt(
        provider=route.provider,
        model=route.provider_model,
        started_at=started,
        ms=_ms_since(started),
        outcome="failed",
        error_code=error.code,
        upstream_id=error.upstream_id,
        billed=False if unbilled else (error.billed or None),
    )


def _unroutable(request: GenerationRequest, started: datetime) -> Outcome:
    error = ProviderRefused(
        f"no provider that draws {request.model} is set up here: its key is missing",
        code="no_route",
    )
    attempt = Attempt(
        provider="",
        model=request.model,
        started_at=started,
        ms=0,
        outcome="failed",
        error_code=error.code,
        billed=False,
    )
    return _given_up(attempt, error)


def _given_up(attempt: Attempt, error: ServiceError) -> Outcome:
    return Outcome(
        state=JobState.FAILED,
        attempt=attempt,
        error={"code": error.code, "message": str(error)},
    )


def _cost(
    worker: WorkerContext, request: GenerationRequest, made: Generated, count: int
) -> tuple[str | None, str | None]:
    """Return US dollars as decimal text, and who says so; the provider's word wins."""
    if made.cost_usd is not None:
        return str(made.cost_usd), "reported"
    quote = worker.catalog.model(request.model).quote_for(
        quality=request.quality,
        size=request.size,
        tier=Size(request.width, request.height).tier,
    )
    return (None, None) if quote is None else (str(quote.usd * count), quote.source)


def _ms_since(started: datetime) -> int:
    return (datetime.now(UTC) - started) // timedelta(milliseconds=1)
