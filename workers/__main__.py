"""One worker process: `python -m workers` (Procfile: worker)."""

import asyncio
import contextlib
import os
import secrets
import socket
import sys
from collections.abc import AsyncIterator, Iterable
from dataclasses import replace
from datetime import timedelta
from functools import partial
from signal import SIGHUP, SIGINT, SIGTERM, Signals
from typing import Any

import uvloop
from arq.connections import ArqRedis

from service import logs
from service.boot import fit
from service.catalog_file import LiveCatalog
from service.core.catalog import Catalog
from service.core.errors import CatalogError
from service.core.retries import RetryPolicy
from service.hangup import on_hangup
from service.image_store.opening import open_image_store
from service.imaging import Imaging
from service.job_store.gates import Gate
from service.job_store.lease import Lease
from service.job_store.leases import Leases
from service.job_store.listening import end
from service.job_store.pool import redis_pool
from service.outbound import Outbound
from service.parent import watch_parent
from service.settings import ConfigurationError, Settings, load_settings
from workers import trial
from workers.context import WorkerContext
from workers.deliverer import make_deliverer
from workers.engine import LeaseWorker
from workers.generate import generate
from workers.inputs import Inputs
from workers.partials import Partials
from workers.providers import open_providers
from workers.sweep import Sweep

_TIMEOUT_S = 5.0


@contextlib.asynccontextmanager
async def make_worker(
    settings: Settings, live: LiveCatalog
) -> AsyncIterator[LeaseWorker[Lease]]:
    """Build a worker and all it works with; close it in reverse."""
    own = settings.worker
    lease = timedelta(seconds=own.lease_s)
    retention = timedelta(seconds=settings.retention_s)
    # In a container host and process id outlive a crash; a worker that took over its
    # dead namesake's claims would run them under the fences they had.
    name = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
    async with contextlib.AsyncExitStack() as stack:
        redis = ArqRedis(redis_pool(settings.redis_url, timeout_s=_TIMEOUT_S))
        images = open_image_store(settings)
        stack.push_async_callback(images.close)
        imaging = Imaging(processes=own.imaging_processes)
        stack.push_async_callback(imaging.close)
        outbound = await stack.enter_async_context(Outbound(settings.outbound))
        partials = Partials(redis, images, imaging)
        stack.push_async_callback(partials.aclose)
        catalog = live.current
        providers = open_providers(catalog, outbound, os.environ)
        leases = Leases(
            redis,
            worker=name,
            slots=own.max_jobs,
            lease=lease,
            retention=retention,
            gates=_gates(catalog, providers),
        )
        worker = LeaseWorker(
            generate,
            name=name,
            redis_pool=redis,
            leases=leases,
            max_jobs=own.max_jobs,
            lease=lease,
            drain=timedelta(seconds=own.drain_s),
            handle_signals=False,
            ctx={
                "worker": WorkerContext(
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
            },
        )
        stack.push_async_callback(worker.close)
        live.follow(partial(_adopt, worker, leases, outbound))
        chores = asyncio.create_task(Sweep(redis, images, retention=retention).run())
        stack.push_async_callback(end, [chores])
        yield worker


def _adopt(
    worker: LeaseWorker[Lease], leases: Leases, outbound: Outbound, catalog: Catalog
) -> None:
    """Run what is claimed from now on by another catalog; raises what boot would."""
    providers = open_providers(catalog, outbound, os.environ)
    context: WorkerContext = worker.ctx["worker"]
    leases.serve(_gates(catalog, providers))
    worker.change({"worker": replace(context, catalog=catalog, providers=providers)})


def _gates(catalog: Catalog, served: Iterable[str]) -> dict[str, Gate]:
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


async def serve(settings: Settings, live: LiveCatalog) -> None:
    """Work until SIGTERM, SIGINT or the death of the parent, then drain.

    SIGHUP reads the catalog anew.

    Raises:
        ConfigurationError: Redis or the store is not fit for it.
    """
    async with (
        make_worker(settings, live) as worker,
        make_deliverer(settings, name=worker.name) as deliverer,
    ):
        crew: tuple[LeaseWorker[Any], ...] = (worker, deliverer)

        def drain(signum: Signals) -> None:
            for one in crew:
                one.handle_sig(signum)

        for signum in (SIGTERM, SIGINT):
            asyncio.get_running_loop().add_signal_handler(signum, drain, signum)
        on_hangup(reload=live.reload, leave=lambda: drain(SIGHUP))
        with watch_parent(lambda: drain(SIGTERM)):
            async with (
                fit(settings, leave=lambda: drain(SIGTERM)),
                asyncio.TaskGroup() as group,
            ):
                for one in crew:
                    group.create_task(one.async_run())


def main() -> None:
    """Start, or say in one sentence why not; `test NAME` tests a provider instead."""
    if sys.argv[1:2] == ["test"]:
        raise SystemExit(trial.main(sys.argv[2:]))
    try:
        settings = load_settings()
        live = LiveCatalog(settings.catalog_file)
        logs.configure(settings)
        uvloop.run(serve(settings, live))
    except (ConfigurationError, CatalogError) as exc:
        print(f"darkroom: {exc}", file=sys.stderr)  # noqa: T201 - no log yet
        raise SystemExit(2) from None


if __name__ == "__main__":
    main()
