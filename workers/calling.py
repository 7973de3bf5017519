"""Whom an attempt calls, and how: one provider, or a second beside a slow first."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Any

import structlog
from redis.exceptions import RedisError

from service import tracing
from service.core.catalog import Route
from service.core.errors import (
    PromptRejected,
    ProviderAmbiguous,
    ProviderError,
    ServiceError,
    UnknownModel,
)
from service.core.provider import Call, Generated
from service.core.requests import GenerationRequest
from service.core.retries import OnAmbiguous
from service.job_store.lease import Lease
from workers.context import WorkerContext
from workers.hedging import Hedge, Running, Try, first_answer, once
from workers.inputs import AS_SENT
from workers.progress import Progress
from workers.tasks import Tasks

log = structlog.get_logger()


def routes_of(worker: WorkerContext, lease: Lease, model: str) -> Sequence[Route]:
    """Return the routes the job has left that this process can call."""
    if lease.routes:
        routes = tuple(Route.parse(route) for route in lease.routes)
    else:
        try:
            routes = worker.catalog.model(model).routes
        except UnknownModel:  # the catalog of the front door was newer
            return ()
    return [route for route in routes if route.provider in worker.providers]


def route_of(lease: Lease, routes: Sequence[Route]) -> Route | None:
    """Return whose turn it is: chosen with the claim, else by attempts."""
    kept = None if lease.kept is None else lease.kept.route
    for chosen in (lease.route, kept):
        for route in routes:
            if chosen == str(route):
                return route
    return routes[lease.attempts % len(routes)] if routes else None


async def called(
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


async def _call(
    worker: WorkerContext, route: Route, request: GenerationRequest, call: Call
) -> Generated:
    patience = min(
        worker.catalog.providers[route.provider].timeout, worker.attempt_timeout
    )
    try:
        async with asyncio.timeout(patience.total_seconds()):
            with tracing.span(f"generate {route.provider}", kind="client") as span:
                span.note(darkroom_route=str(route))
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
