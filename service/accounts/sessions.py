"""Sessions: who signed in with a key, and does not send it again with every page.

    darkroom:session:{sha256 of the token}   text   the key's id; lives as long as it
                                                    is used, and half a day longer

A session can do what its key can, for as long as that can: whoever revokes the key
ends it. Redis holds a hash, so that its backups open nothing.
"""

import hashlib
import re
import secrets
from datetime import timedelta

from redis.asyncio import Redis

from service.accounts import Accounts, ApiKey
from service.accounts.waiting import within
from service.core.errors import Unauthenticated

LIVES = timedelta(hours=12)
"""Unused."""

_TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")


class Sessions:
    """All of them; each call may raise QueueUnavailable: Redis is away."""

    def __init__(self, redis: Redis, accounts: Accounts) -> None:
        self._redis, self._accounts = redis, accounts

    async def open(self, key: ApiKey) -> str:
        """Begin a session of the key; return its token, which nobody can read again."""
        token = secrets.token_urlsafe(32)
        await within(self._redis.set(_record(token), key.id, ex=LIVES))
        return token

    async def key_of(self, token: str) -> ApiKey:
        """Return the key that the session was opened with; the session lives on.

        Raises:
            Unauthenticated: `session_over`, or what has become of the key.
        """
        if _TOKEN.fullmatch(token) is None:
            raise _over()
        stored = await within(self._redis.getex(_record(token), ex=LIVES))
        if stored is None:
            raise _over()
        return await self._accounts.find(stored.decode())

    async def end(self, token: str) -> None:
        """Forget the session; twice is the same as once."""
        await within(self._redis.delete(_record(token)))


def _over() -> Unauthenticated:
    return Unauthenticated("this session is over", code="session_over")


def _record(token: str) -> str:
    return f"darkroom:session:{hashlib.sha256(token.encode()).hexdigest()}"
