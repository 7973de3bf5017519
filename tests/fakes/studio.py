"""A real worker in this process, with the providers of the packaged catalog."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from signal import SIGTERM

from service.catalog_file import load_catalog
from service.settings import Settings
from workers.__main__ import make_worker
from workers.engine import LeaseWorker


@contextlib.asynccontextmanager
async def studio(settings: Settings) -> AsyncIterator[LeaseWorker]:
    """Run a worker that shares Redis and the store with a front door's settings."""
    own = settings.worker.model_copy(update={"imaging_processes": 1, "drain_s": 1})
    wanted = settings.model_copy(update={"worker": own})
    catalog = load_catalog(wanted.catalog_file)
    async with make_worker(wanted, catalog) as worker:
        running = asyncio.create_task(worker.main())
        try:
            yield worker
        finally:
            worker.handle_sig(SIGTERM)
            await running
