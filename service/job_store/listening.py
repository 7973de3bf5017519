"""Messages of one channel, for as long as the process lives."""

import asyncio
from collections.abc import AsyncIterator

from redis.asyncio import Redis
from redis.exceptions import RedisError

_PAUSE_S = 0.2
_SILENCE_S = 5.0


async def messages(redis: Redis, channel: str) -> AsyncIterator[bytes]:
    """Yield what is published to `channel`, over one connection; never ends.

    What is published while Redis is away is missed: whoever listens must be able
    to learn the same from the records.
    """
    while True:
        subscription = redis.pubsub()
        try:
            await subscription.subscribe(channel)
            while True:
                message = await subscription.get_message(
                    ignore_subscribe_messages=True, timeout=_SILENCE_S
                )
                if message is not None:
                    yield message["data"]
        except (RedisError, OSError):
            await asyncio.sleep(_PAUSE_S)
        finally:
            await subscription.aclose()  # type: ignore[no-untyped-call]
