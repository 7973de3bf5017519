"""Redis whose answers hold even when its machine never comes back.

`WAIT` follows each script on the same connection. One that no replica has taken over
in time is answered NOREPLICAS, though the primary may keep it: whoever asked cannot
know, as after a lost answer, and asks again under the same name.

WAIT minds what its own connection wrote, and whoever asks again only reads what another
one did. So a write of no meaning stands between: all that was written before it, by
whomever, a replica has before it.
"""

from typing import Any

from redis.asyncio import ConnectionPool, Redis
from redis.exceptions import ResponseError

from service.job_store import keys
from service.job_store.pool import cut_idle

_COPIED_WITHIN_MS = 1000
_CANARY_MS = 60_000


class NotCopied(ResponseError):
    """Written, and no replica has it: nobody knows whether it stays."""


class ReplicatedRedis(Redis):
    """A client whose scripts return when a replica has what they wrote.

    Plain commands return at once: what a caller is promised, a script writes.
    """

    async def evalsha(self, sha: str, numkeys: int, *keys_and_args: Any) -> Any:
        """See `Redis.evalsha`."""
        return await self._copied("EVALSHA", sha, numkeys, *keys_and_args)

    async def eval(self, script: str, numkeys: int, *keys_and_args: Any) -> Any:
        """See `Redis.eval`."""
        return await self._copied("EVAL", script, numkeys, *keys_and_args)

    async def _copied(self, *command: Any) -> Any:
        async with self.pipeline(transaction=False) as pipe:
            pipe.execute_command(*command)
            pipe.execute_command("SET", keys.CANARY, b"1", "PX", _CANARY_MS)
            pipe.execute_command("WAIT", 1, _COPIED_WITHIN_MS)
            answer, wrote, copies = await pipe.execute(raise_on_error=False)
        for each in (answer, wrote, copies):
            if isinstance(each, Exception):
                raise each
        if not copies:
            # It may have been cut off from them, and another be the primary by now.
            await cut_idle(self.connection_pool)
            raise NotCopied("NOREPLICAS no replica has taken it over in time")
        return answer


def lasting_redis(pool: ConnectionPool, *, durability: str) -> Redis:
    """Return a client, which owns the pool, whose scripts last as `durability` says."""
    kind = ReplicatedRedis if durability == "replicated" else Redis
    return kind.from_pool(pool)
