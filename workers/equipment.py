"""All that attempts work with, opened together and closed in reverse."""

import contextlib
import os
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from datetime import timedelta

from arq.connections import ArqRedis

from service.core.catalog import Catalog
from service.core.retries import RetryPolicy
from service.image_store.opening import open_image_store
from service.imaging import Imaging
from service.job_store.gates import Gate
from service.job_store.leases import Leases
from service.job_store.pool import redis_pool
from service.outbound import Outbound
from service.settings import Settings
from workers.context import WorkerContext
from workers.inputs import Inputs
from workers.partials import Partials
from workers.providers import open_providers

_TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Equipment:
    """What a process needs beside the context of its attempts.

    Attributes:
        redis: Of the leases; whoever serves them closes both.
    """

    context: WorkerContext
    redis: ArqRedis
    outbound: Outbound


@contextlib.asynccontextmanager
async def equipped(
    settings: Settings, catalog: Catalog, *, name: str, decoders: int
) -> AsyncIterator[Equipment]:
    """Open it for the worker of that name, with so many processes for images."""
    own = settings.worker
    async with contextlib.AsyncExitStack() as stack:
        redis = ArqRedis(redis_pool(settings.redis_url, timeout_s=_TIMEOUT_S))
        images = open_image_store(settings)
        stack.push_async_callback(images.close)
        imaging = Imaging(processes=decoders)
        stack.push_async_callback(imaging.close)
        outbound = await stack.enter_async_context(Outbound(settings.outbound))
        partials = Partials(redis, images, imaging)
        stack.push_async_callback(partials.aclose)
        providers = open_providers(catalog, outbound, os.environ)
        leases = Leases(
            redis,
            worker=name,
            slots=own.max_jobs,
            lease=timedelta(seconds=own.lease_s),
            retention=timedelta(seconds=settings.retention_s),
            gates=gates_of(catalog, providers),
        )
        context = WorkerContext(
            catalog=catalog,
            leases=leases,
            providers=providers,
            images=images,
            imaging=imaging,
            inputs=Inputs(images, imaging, most_bytes=own.input_bytes),
            partials=partials,
            retries=_retries(settings),
            attempt_timeout=timedelta(seconds=own.attempt_timeout_s),
        )
        yield Equipment(context=context, redis=redis, outbound=outbound)


def gates_of(catalog: Catalog, served: Iterable[str]) -> dict[str, Gate]:
    """Return what the fleet may use of each provider this process can call."""
    entries = {name: catalog.providers[name] for name in served}
    return {
        name: Gate(
            entry.max_in_flight, entry.requests_per_minute, entry.max_images_in_flight
        )
        for name, entry in entries.items()
    }


def _retries(settings: Settings) -> RetryPolicy:
    return RetryPolicy(
        max_attempts=settings.worker.max_attempts,
        base=timedelta(seconds=settings.worker.retry_base_s),
        ceiling=timedelta(seconds=settings.worker.retry_ceiling_s),
    )
