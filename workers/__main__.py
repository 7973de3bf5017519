"""One worker process: `python -m workers` (Procfile: worker)."""

import asyncio
import contextlib
import os
import secrets
import socket
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from functools import partial
from signal import SIGHUP, SIGINT, SIGTERM, Signals
from typing import Any

import uvloop

from service import logs, tracing
from service.boot import fit
from service.catalog_file import LiveCatalog
from service.core.catalog import Catalog
from service.core.errors import CatalogError
from service.hangup import on_hangup
from service.job_store.lease import Lease
from service.job_store.leases import Leases
from service.outbound import Outbound
from service.parent import watch_parent
from service.settings import ConfigurationError, Settings, load_settings
from workers import trial
from workers.alone import guarded
from workers.context import WorkerContext
from workers.deliverer import make_deliverer
from workers.engine import LeaseWorker
from workers.equipment import equipped, gates_of
from workers.providers import open_providers
from workers.sweep import Sweep


@contextlib.asynccontextmanager
async def make_worker(
    settings: Settings, live: LiveCatalog
) -> AsyncIterator[LeaseWorker[Lease]]:
    """Build a worker and all it works with; close it in reverse."""
    own = settings.worker
    # In a container host and process id outlive a crash; a worker that took over its
    # dead namesake's claims would run them under the fences they had.
    name = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
    async with contextlib.AsyncExitStack() as stack:
        ours = await stack.enter_async_context(
            equipped(settings, live.current, name=name, decoders=own.imaging_processes)
        )
        redis, leases = ours.redis, ours.context.leases
        sweep = Sweep(
            redis,
            ours.context.images,
            retention=timedelta(seconds=settings.retention_s),
        )

        async def sweeping(_: object) -> None:
            """Begin when the worker does: the backends were found fit by then."""
            await stack.enter_async_context(sweep)

        worker = LeaseWorker(
            guarded,
            name=name,
            redis_pool=redis,
            leases=leases,
            max_jobs=own.max_jobs,
            lease=timedelta(seconds=own.lease_s),
            drain=timedelta(seconds=own.drain_s),
            handle_signals=False,
            ctx={"worker": ours.context},
            on_startup=sweeping,
        )
        stack.push_async_callback(worker.close)
        live.follow(partial(_adopt, worker, leases, ours.outbound))
        yield worker


def _adopt(
    worker: LeaseWorker[Lease], leases: Leases, outbound: Outbound, catalog: Catalog
) -> None:
    """Run what is claimed from now on by another catalog; raises what boot would."""
    providers = open_providers(catalog, outbound, os.environ)
    context: WorkerContext = worker.ctx["worker"]
    leases.serve(gates_of(catalog, providers))
    worker.change({"worker": replace(context, catalog=catalog, providers=providers)})


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
    """Start, or say in one sentence why not.

    `test NAME` tests a provider instead.
    """
    if sys.argv[1:2] == ["test"]:
        raise SystemExit(trial.main(sys.argv[2:]))
    try:
        settings = load_settings()
        live = LiveCatalog(settings.catalog_file)
        logs.configure(settings)
        tracing.begin(settings, service="darkroom-worker")
        uvloop.run(serve(settings, live))
    except (ConfigurationError, CatalogError) as exc:
        print(f"darkroom: {exc}", file=sys.stderr)  # noqa: T201 - no log yet
        raise SystemExit(2) from None


if __name__ == "__main__":
    main()
