"""The secret that signs embed links: one in Redis, the same for all front doors.

A file beside the images, as for their URLs, would do for one machine only: front
doors that share no more than Redis and a bucket have to honor each other's links.
"""

import secrets

from redis.asyncio import Redis

_SECRET = "darkroom:secret:embed"  # noqa: S105 - where it lies, not what it is
_SECRET_BYTES = 32


async def link_secret(redis: Redis) -> bytes:
    """Return the secret, made on the first call ever; may raise RedisError."""
    async with redis.pipeline(transaction=False) as pipe:
        pipe.set(_SECRET, secrets.token_bytes(_SECRET_BYTES), nx=True)
        pipe.get(_SECRET)
        _, secret = await pipe.execute()
    return bytes(secret)
