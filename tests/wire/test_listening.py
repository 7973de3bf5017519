"""Who listens hears again, however the connection was lost."""

import asyncio
from contextlib import aclosing

from redis.asyncio import Redis

from service.job_store.listening import messages
from service.job_store.pool import redis_pool
from tests.chaos.program import reserved_port
from tests.fakes.link import Link
from tests.fakes.valkey import Valkey

CHANNEL = "darkroom:test"


async def test_a_server_that_is_gone_without_a_word_is_left():
    with reserved_port() as port:
        valkey = Valkey(port=port, bind="127.0.0.1").start()
        link = Link(port)
        try:
            pool = redis_pool(f"redis://127.0.0.1:{link.port}", timeout_s=5)
            async with (
                Redis.from_pool(pool) as redis,
                Redis.from_url(valkey.url) as teller,
                aclosing(messages(redis, CHANNEL, silence_s=0.2)) as heard,
                asyncio.timeout(20),
            ):
                assert await anext(heard) == b""
                await asyncio.sleep(0.5)
                await teller.publish(CHANNEL, "after a silence")
                assert await anext(heard) == b"after a silence"

                link.desert()

                assert await anext(heard) == b""
                await teller.publish(CHANNEL, "by another way")
                assert await anext(heard) == b"by another way"
        finally:
            link.close()
            valkey.close()
