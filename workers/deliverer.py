"""The part of a worker process that delivers events, with all it works with.

It shares nothing with the jobs but the event loop: connections to Redis, slots and
outgoing calls are its own, so that no receiver can keep an image waiting.
"""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from typing import Any

from arq.connections import ArqRedis

from service.batch_views import shown_batch
from service.batches import Batches
from service.image_store.opening import open_image_store
from service.job_store import JobStore
from service.job_store.pool import redis_pool
from service.job_store.records import read_traceparent
from service.outbound import Outbound
from service.settings import Settings
from service.views import JobViews
from service.webhooks import DeliveryLeases, Endpoints, Parcel
from service.webhooks.shown import endpoint_object
from workers.channels import CHANNELS
from workers.deliver import DeliverContext, Secrets, deliver
from workers.engine import LeaseWorker
from workers.payloads import Payloads, Reader

_TIMEOUT_S = 5.0


@contextlib.asynccontextmanager
async def make_deliverer(
    settings: Settings, *, name: str
) -> AsyncIterator[LeaseWorker[Parcel]]:
    """Build a worker that delivers; close it in reverse."""
    own = settings.webhooks
    lease = timedelta(seconds=settings.worker.lease_s)
    async with contextlib.AsyncExitStack() as stack:
        redis = ArqRedis(redis_pool(settings.redis_url, timeout_s=_TIMEOUT_S))
        images = open_image_store(settings)
        stack.push_async_callback(images.close)
        outbound = await stack.enter_async_context(Outbound(settings.outbound))
        jobs = JobStore(redis)
        stack.push_async_callback(jobs.aclose)
        views = JobViews(images, base_url=settings.base_url)
        endpoints = Endpoints(redis, most=own.endpoints)
        readers = {
            "job": _jobs(jobs, views),
            "batch": _batches(Batches(redis, images), settings.base_url),
            "ep": _endpoints(endpoints),
        }
        worker: LeaseWorker[Parcel] = LeaseWorker(
            deliver,
            name=name,
            redis_pool=redis,
            leases=DeliveryLeases(redis, own, worker=name, lease=lease),
            max_jobs=own.slots,
            lease=lease,
            drain=timedelta(seconds=settings.worker.drain_s),
            handle_signals=False,
            ctx={
                "deliver": DeliverContext(
                    payloads=Payloads(readers),
                    channel=CHANNELS["webhook"](
                        outbound, timedelta(seconds=own.timeout_s)
                    ),
                    secrets=Secrets(redis),
                    traced=_traces(redis),
                    schedule=own.schedule,
                )
            },
        )
        stack.push_async_callback(worker.close)
        yield worker


def _traces(redis: ArqRedis) -> Callable[[Parcel], Awaitable[str | None]]:
    async def traced(parcel: Parcel) -> str | None:
        return await read_traceparent(redis, parcel.subject)

    return traced


def _jobs(jobs: JobStore, views: JobViews) -> Reader:
    async def read(job_id: str, account: str) -> dict[str, Any]:
        return views.job(await jobs.get(job_id, account=account))

    return read


def _batches(batches: Batches, base_url: str) -> Reader:
    async def read(batch_id: str, account: str) -> dict[str, Any]:
        batch = await batches.get(batch_id, account=account)
        return shown_batch(batch, base_url=base_url)

    return read


def _endpoints(endpoints: Endpoints) -> Reader:
    async def read(endpoint_id: str, account: str) -> dict[str, Any]:
        return endpoint_object(await endpoints.get(endpoint_id, account=account))

    return read
