"""Two front doors on one Valkey: whoever comes again may come to the other one."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import aiohttp
from redis.asyncio import Redis

from service.accounts import Accounts, ApiKey, Grant, Scope
from service.job_store.pool import redis_pool
from service.settings import Limits
from tests.chaos.client import Client
from tests.chaos.program import reserved_port
from tests.chaos.stage import SECRET, Cast, Stage, on_stage

_START_S = 60
_LOOK_S = 0.05


@dataclass(frozen=True, kw_only=True)
class Doors:
    """What runs, and a look behind it.

    Attributes:
        urls: Base URLs of both front doors.
        accounts: The keys, the ledger and the balances, straight from Valkey.
    """

    stage: Stage
    urls: tuple[str, str]
    session: aiohttp.ClientSession
    redis: Redis
    accounts: Accounts

    async def knows(self, account: str, **grant: Any) -> tuple[ApiKey, str]:
        """Make a key of all scopes; return it and its secret."""
        wanted = Grant(account=account, scopes=frozenset(Scope), **grant)
        return await self.accounts.create(wanted)


@contextlib.asynccontextmanager
async def two_doors(cast: Cast) -> AsyncIterator[Doors]:
    """Start everything and a second front door."""
    async with contextlib.AsyncExitStack() as stack:
        stage = await stack.enter_async_context(on_stage(cast))
        session = await stack.enter_async_context(
            aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0),
                timeout=aiohttp.ClientTimeout(total=60),
            )
        )
        redis = Redis(connection_pool=redis_pool(stage.valkey.url, timeout_s=10))
        stack.push_async_callback(redis.aclose, close_connection_pool=True)
        port = stack.enter_context(reserved_port())
        door = stage.program("door2", "service", DARKROOM_PORT=str(port))
        door.start()
        second = Client(session, f"http://127.0.0.1:{port}", secret=SECRET)
        async with asyncio.timeout(_START_S):
            while (await second.readiness()).status != 200:
                await asyncio.sleep(_LOOK_S)
        yield Doors(
            stage=stage,
            urls=(stage.base_url, f"http://127.0.0.1:{port}"),
            session=session,
            redis=redis,
            accounts=Accounts(redis, Limits()),
        )
