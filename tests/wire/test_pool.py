"""Connections to Redis, where ours do otherwise than redis-py's."""

import asyncio
from collections.abc import AsyncIterator
from itertools import count

import pytest
from redis.asyncio import Redis

from service.job_store.pool import redis_pool
from tests.fakes.valkey import Valkey


@pytest.fixture
async def ours(shared_valkey: Valkey) -> AsyncIterator[Redis]:
    """A client of one connection at a time, as the service makes them."""
    pool = redis_pool(shared_valkey.url, timeout_s=5)
    yield Redis(connection_pool=pool)
    await pool.disconnect()


async def test_a_connection_that_died_while_idle_is_replaced_unseen(
    ours: Redis, redis: Redis
):
    before = await ours.client_id()
    await redis.client_kill_filter(_id=str(before))

    assert await ours.client_id() != before


async def test_an_answer_that_nobody_took_is_nobody_elses(ours: Redis):
    connection = await ours.connection_pool.get_connection()
    await connection.send_command("ECHO", "nobody's")
    while not await connection.can_read_destructive():
        await asyncio.sleep(0)
    await ours.connection_pool.release(connection)

    assert await ours.echo("mine") == b"mine"


async def test_a_cancel_is_heard_at_every_turn_of_a_command(ours: Redis):
    await ours.ping()
    for turns in count():
        asking = asyncio.create_task(ours.ping())
        for _ in range(turns):
            await asyncio.sleep(0)
        if not asking.cancel():
            break
        await asyncio.wait([asking])

        assert asking.cancelled(), f"lost after {turns} turns"

    assert await asking
