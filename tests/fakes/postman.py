"""A worker that only delivers, in this process, on what a front door has set."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from ipaddress import ip_network
from signal import SIGTERM
from typing import Any

from service.settings import Outbound, Settings, Webhooks
from workers.deliverer import make_deliverer
from workers.engine import LeaseWorker

LOOPBACK = Outbound(allowed_networks=[ip_network("127.0.0.0/8")], allow_http=True)
"""Receivers of tests are on this machine."""


def quick(**rules: Any) -> Webhooks:
    """Return rules under which nobody has to wait for days."""
    return Webhooks(
        **{
            "schedule_s": [0.05],
            "timeout_s": 0.3,
            "host_per_minute": 0,
            "breaker_s": 3,
            **rules,
        }
    )


@contextlib.asynccontextmanager
async def postman(
    settings: Settings, *, name: str = "postman", drain_s: float = 0
) -> AsyncIterator[LeaseWorker]:
    """Deliver until the context is left, and then drain."""
    own = settings.worker.model_copy(update={"drain_s": drain_s})
    wanted = settings.model_copy(update={"worker": own})
    async with make_deliverer(wanted, name=name) as worker:
        running = asyncio.create_task(worker.main())
        try:
            yield worker
        finally:
            worker.handle_sig(SIGTERM)
            await running
