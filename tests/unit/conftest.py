"""Units have no sockets: their Redis is in this process."""

from collections.abc import AsyncIterator

import pytest
from fakeredis import FakeAsyncRedis
from redis.asyncio import Redis


@pytest.fixture
async def redis() -> AsyncIterator[Redis]:
    client = FakeAsyncRedis()
    yield client
    await client.aclose()
