"""Front doors on one Valkey: whoever comes again may come to another one."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import aiohttp
from redis.asyncio import Redis

from service.accounts import Accounts, ApiKey, Grant, Scope
from service.job_store.pool import redis_pool
from service.settings import Limits
from tests.chaos.client import Client
from tests.chaos.program import Program, reserved_port
from tests.chaos.stage import SECRET, Cast, Stage, on_stage

_START_S = 120
_LOOK_S = 0.05


@dataclass(frozen=True, kw_only=True)
class Doors:
    """What runs, and a look behind it.

    Attributes:
        urls: Base URLs of the front doors; the first is the stage's own.
        programs: Their processes, in the same order.
        accounts: The keys, the ledger and the balances, straight from Valkey.
    """

    stage: Stage
    urls: Sequence[str]
    programs: Sequence[Program]
    session: aiohttp.ClientSession
    redis: Redis
    accounts: Accounts

    async def knows(self, account: str, **grant: Any) -> tuple[ApiKey, str]:
        """Make a key of all scopes; return it and its secret."""
        wanted = Grant(account=account, scopes=frozenset(Scope), **grant)
        return await self.accounts.create(wanted)


@contextlib.asynccontextmanager
async def front_doors(
    cast: Cast, *, count: int = 2, settings: Mapping[str, str] = MappingProxyType({})
) -> AsyncIterator[Doors]:
    """Start everything, and front doors until there are so many."""
    async with contextlib.AsyncExitStack() as stack:
        stage = await stack.enter_async_context(on_stage(cast, settings=settings))
        session = await stack.enter_async_context(
            aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0),
                timeout=aiohttp.ClientTimeout(total=60),
            )
        )
        redis = Redis(connection_pool=redis_pool(stage.valkey.url, timeout_s=10))
        stack.push_async_callback(redis.aclose, close_connection_pool=True)
        others = [door(stage, stack, f"door{number}") for number in range(2, count + 1)]
        for program, _ in others:
            program.start()
        urls = (stage.base_url, *(url for _, url in others))
        await asyncio.gather(*(until_open(session, url) for url in urls))
        yield Doors(
            stage=stage,
            urls=urls,
            programs=(stage.door, *(program for program, _ in others)),
            session=session,
            redis=redis,
            accounts=Accounts(redis, Limits()),
        )


def door(
    stage: Stage, stack: contextlib.AsyncExitStack, name: str, **variables: str
) -> tuple[Program, str]:
    """Return another front door, which is not started yet, and its URL."""
    port = stack.enter_context(reserved_port())
    made = stage.program(name, "service", DARKROOM_PORT=str(port), **variables)
    return made, f"http://127.0.0.1:{port}"


async def until_open(session: aiohttp.ClientSession, url: str) -> None:
    """Return when the front door takes jobs."""
    client = Client(session, url, secret=SECRET)
    async with asyncio.timeout(_START_S):
        while (await client.readiness()).status != 200:
            await asyncio.sleep(_LOOK_S)
