"""What every test may ask for: a real Valkey, and an empty one."""

from collections.abc import AsyncIterator, Iterator

import pytest
from redis.asyncio import Redis

from tests.fakes.valkey import Valkey


@pytest.fixture(scope="session")
def shared_valkey() -> Iterator[Valkey]:
    """One server for the whole run; use `valkey` unless state is no matter."""
    server = Valkey().start()
    yield server
    server.close()


@pytest.fixture
async def redis(shared_valkey: Valkey) -> AsyncIterator[Redis]:
    """A connection to an empty real Valkey."""
    client = Redis.from_url(shared_valkey.url)
    await client.flushall()
    yield client
    await client.aclose()


@pytest.fixture
def valkey() -> Iterator[Valkey]:
    """A server of the test's own, to be killed or frozen."""
    server = Valkey().start()
    yield server
    server.close()
