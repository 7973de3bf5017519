"""The Lua scripts, one per atomic step; sent again when Redis forgot them."""

import hashlib
from collections.abc import Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import NoScriptError, ReadOnlyError

from service.job_store import keys
from service.job_store.pool import cut_idle

_HERE = Path(__file__).parent / "scripts"
_SHARED = ("common", "gates", "gathered", "outbox", "batches", "waits", "steps")


class Script:
    """One step over one queue; all its other keys follow from the queue's name."""

    def __init__(
        self, redis: Redis, text: str, *, queue: str, writes: bool = True
    ) -> None:
        self._redis, self._queue = redis, queue
        # What only reads need not wait for the replicas that a client may wait for.
        self._eval = redis.eval if writes else partial(Redis.eval, redis)
        self._evalsha = redis.evalsha if writes else partial(Redis.evalsha, redis)
        self._source = text
        self._sha = hashlib.sha1(
            self._source.encode(), usedforsecurity=False
        ).hexdigest()

    async def __call__(self, args: Sequence[Any]) -> Any:
        """Run the step.

        Raises:
            RedisError: Redis is away or refused. After a timeout or a lost
                connection the step may have been taken all the same.
        """
        try:
            return await self._evalsha(self._sha, 1, self._queue, *args)  # type: ignore[misc]
        except NoScriptError:
            return await self._eval(self._source, 1, self._queue, *args)  # type: ignore[misc]
        except ReadOnlyError:  # its master is another now: the name leads there
            # Who has a connection in hand would trip over its loss, not notice it.
            await cut_idle(self._redis.connection_pool)
            raise


@cache
def source(name: str) -> str:
    """Return the whole text of a step, with what all of them share before it."""
    return parts(*_SHARED, name)


def shared() -> str:
    """Return what all steps of jobs share, for such as lie elsewhere."""
    return parts(*_SHARED)


def parts(*names: str) -> str:
    """Return scripts of this package one behind the other; `common` is the first."""
    return "".join((_HERE / f"{name}.lua").read_text() for name in names)


def script(redis: Redis, name: str, *, queue: str = keys.QUEUE) -> Script:
    """Return the step `name`, such as `submit`, bound to a connection pool."""
    return Script(redis, source(name), queue=queue)


def reader(redis: Redis, name: str) -> Script:
    """Return what only looks at the queue, and shares nothing with the steps."""
    return Script(redis, parts(name), queue=keys.QUEUE, writes=False)
