"""Messages of one channel, for as long as the process lives."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

_PAUSE_S = 0.2


async def messages(
    redis: Redis, channel: str, *, silence_s: float = 5.0
) -> AsyncIterator[bytes]:
    """Yield what is published to `channel`, over one connection; never ends.

    What is published while Redis is away is missed. So each time the connection
    stands anew, an empty message says: look at the records, you may be behind.

    Args:
        redis: Whose pool the connection comes from.
        channel: Its name.
        silence_s: After that Redis is asked whether it lives, and given as long.
    """
    while True:
        subscription = redis.pubsub()
        try:
            await subscription.subscribe(channel)
            is_asked = False
            while True:
                message = await subscription.get_message(timeout=silence_s)
                if message is None and is_asked:
                    raise RedisTimeoutError("its host is gone, or the way there")
                if is_asked := message is None:
                    await subscription.ping()
                elif message["type"] != "pong":
                    yield message["data"] if message["type"] == "message" else b""
        except (RedisError, OSError):
            await asyncio.sleep(_PAUSE_S)
        finally:
            await subscription.aclose()  # type: ignore[no-untyped-call]


async def end(tasks: Sequence["asyncio.Task[Any]"]) -> None:
    """Cancel tasks until they hear it.

    Under Python 3.11 `asyncio.wait_for` can lose that to a reply; redis-py's own
    connections use it, ours (pool.py) do not.
    """
    running: set[asyncio.Task[Any]] = set(tasks)
    while running:
        for task in running:
            task.cancel()
        _, running = await asyncio.wait(running, timeout=_PAUSE_S)
