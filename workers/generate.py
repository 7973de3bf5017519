"""The task: one attempt of one job, from its request to images in the store.

    receipt of an earlier claim? --> its images, nothing is bought
    route --> provider --> decode, check --> store images, then receipt --> Outcome

The receipt is written last, so whoever finds one finds all its images. Every later
claim looks for one before it calls a provider: a worker that died between the
store and the commit has bought nothing in vain.
"""

import asyncio
import hashlib
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import orjson
import structlog

from service.core.catalog import Catalog, Route
from service.core.errors import (
    BadImage,
    BadOutput,
    PromptRejected,
    ProviderAmbiguous,
    ProviderError,
    ProviderRefused,
    ServiceError,
    StoreUnavailable,
    Unavailable,
    UnknownModel,
)
from service.core.jobs import Attempt, JobState, StoredImage
from service.core.provider import Generated, Provider
from service.core.requests import GenerationRequest
from service.core.retries import RetryPolicy
from service.core.sizing import Size
from service.image_store import ImageStore
from service.imaging import ImageFacts, Imaging
from service.job_store.leases import Lease
from service.job_store.records import Outcome
from workers.engine import Later

log = structlog.get_logger()

_PAUSE_S = 0.5
_TYPES = {"png": "image/png", "jpeg": "image/jpeg", "webp": "image/webp"}


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
        if lease.fence > 1 and (found := await _receipt(worker.images, lease)):
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
        generated = await _call(worker, lease, route, request)
        images = await _store(worker, lease, request, generated)
    except ProviderError as error:
        attempt = _failed(route, started, error)
        return _after(worker, lease, attempt, error, routes=len(routes))
    attempt = Attempt(
        provider=route.provider,
        model=route.provider_model,
        started_at=started,
        ms=_ms_since(started),
        upstream_id=generated.upstream_id,
        cost_usd=_cost(worker, request, generated, len(images)),
        billed=True,
    )
    outcome = _succeeded(request, attempt, images, generated.usage)
    await _put_receipt(worker.images, lease, outcome)
    log.info("attempt.succeeded", route=str(route), images=len(images), ms=attempt.ms)
    return outcome


def _routes(worker: WorkerContext, model: str) -> Sequence[Route]:
    try:
        routes = worker.catalog.model(model).routes
    except UnknownModel:  # the catalog of the front door was newer
        return ()
    return [route for route in routes if route.provider in worker.providers]


async def _call(
    worker: WorkerContext, lease: Lease, route: Route, request: GenerationRequest
) -> Generated:
    patience = min(
        worker.catalog.providers[route.provider].timeout, worker.attempt_timeout
    )
    try:
        async with asyncio.timeout(patience.total_seconds()):
            return await worker.providers[route.provider].generate(
                request, model=route.provider_model, attempt=lease.attempts + 1
            )
    except TimeoutError as exc:
        raise ProviderAmbiguous(
            f"the provider did not answer within {patience.total_seconds():g} s"
        ) from exc


async def _store(
    worker: WorkerContext, lease: Lease, request: GenerationRequest, made: Generated
) -> tuple[StoredImage, ...]:
    """Check, convert where needed, and store what was made; bad ones are left out.

    Raises:
        BadOutput: Not one of them is an image.
    """
    stored, last_fault = list[StoredImage](), None
    for image in made.images[: request.n]:
        try:
            data, facts = await _checked(worker.imaging, request, image.data)
        except BadImage as fault:
            log.warning("image.refused", code=fault.code, size_bytes=len(image.data))
            last_fault = fault
            continue
        key = f"jobs/{lease.job_id}/{lease.fence}/{len(stored)}"
        await _patiently(worker.images, key, data, facts.content_type)
        stored.append(
            StoredImage(
                key=key,
                sha256=hashlib.sha256(data).hexdigest(),
                width=facts.width,
                height=facts.height,
                content_type=facts.content_type,
                size_bytes=len(data),
                revised_prompt=image.revised_prompt,
            )
        )
    if not stored:
        raise BadOutput(
            "the provider's answer held no usable image",
            upstream_id=made.upstream_id,
            billed=True,
        ) from last_fault
    return tuple(stored)


async def _checked(
    imaging: Imaging, request: GenerationRequest, data: bytes
) -> tuple[bytes, ImageFacts]:
    while True:
        try:
            return await _as_asked(imaging, request, data)
        except Unavailable as exc:  # ours: no child process would start
            log.warning("image.not_checked", error=str(exc))
            await asyncio.sleep(_PAUSE_S)


async def _as_asked(
    imaging: Imaging, request: GenerationRequest, data: bytes
) -> tuple[bytes, ImageFacts]:
    facts = await imaging.check(data)
    if facts.content_type == _TYPES[request.output_format]:
        return data, facts
    return await imaging.convert(
        data,
        output_format=request.output_format,
        compression=request.output_compression,
    )


async def _patiently(
    images: ImageStore, key: str, data: bytes, content_type: str
) -> None:
    """Store bytes that were paid for: the store may be away, the lease is renewed."""
    while True:
        try:
            return await images.put(key, data, content_type=content_type)
        except StoreUnavailable as exc:
            log.warning("image.not_stored", error=str(exc))
            await asyncio.sleep(_PAUSE_S)


async def _put_receipt(images: ImageStore, lease: Lease, outcome: Outcome) -> None:
    receipt = {**asdict(outcome), "v": 1}
    key = _receipt_key(lease, lease.fence)
    await _patiently(images, key, orjson.dumps(receipt), "application/json")


async def _receipt(images: ImageStore, lease: Lease) -> Outcome | None:
    """Return what an earlier claim of the job bought and stored, newest first."""
    fence = lease.fence - 1
    while fence > 0:
        try:
            stored = await images.get(_receipt_key(lease, fence))
        except StoreUnavailable:  # buying again is no answer to not knowing
            await asyncio.sleep(_PAUSE_S)
            continue
        if stored is not None:
            return _read_receipt(orjson.loads(stored))
        fence -= 1
    return None


def _receipt_key(lease: Lease, fence: int) -> str:
    return f"jobs/{lease.job_id}/{fence}/receipt.json"


def _read_receipt(receipt: dict[str, Any]) -> Outcome:
    attempt = receipt["attempt"]
    started = datetime.fromisoformat(attempt.pop("started_at"))
    return Outcome(
        state=JobState(receipt["state"]),
        attempt=Attempt(started_at=started, **attempt),
        images=tuple(StoredImage(**image) for image in receipt["images"]),
        error=receipt["error"],
        usage=receipt["usage"],
        cost_usd=receipt["cost_usd"],
        asked=receipt["asked"],
    )


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
        asked=request.n,
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
) -> str | None:
    """Return US dollars as decimal text; the provider's own word wins."""
    if made.cost_usd is not None:
        return str(made.cost_usd)
    price = worker.catalog.model(request.model).price_for(
        quality=request.quality,
        size=request.size,
        tier=Size(request.width, request.height).tier,
    )
    return None if price is None else str(Decimal(price) * count)


def _ms_since(started: datetime) -> int:
    return (datetime.now(UTC) - started) // timedelta(milliseconds=1)
