"""A real worker in this process, with the providers of the packaged catalog."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from signal import SIGTERM

from service.catalog_file import LiveCatalog
from service.settings import Settings
from workers.__main__ import make_worker
from workers.engine import LeaseWorker


@contextlib.asynccontextmanager
async def studio(
    settings: Settings, live: LiveCatalog | None = None
) -> AsyncIterator[LeaseWorker]:
    """Run a worker that shares Redis and the store with a front door's settings.

    Args:
        settings: The front door's.
        live: A catalog that the test will exchange.
    """
    own = settings.worker.model_copy(update={"imaging_processes": 1, "drain_s": 1})
    wanted = settings.model_copy(update={"worker": own})
    live = live or LiveCatalog(wanted.catalog_file)
    async with make_worker(wanted, live) as worker:
        running = asyncio.create_task(worker.main())
        try:
            yield worker
        finally:
            worker.handle_sig(SIGTERM)
            await running
