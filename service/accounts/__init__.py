"""API keys: who calls, what they may do, and how much of it.

A secret is shown once and stored as its SHA-256 only. Looking it up by that hash
takes the same time whatever of a guess is right. What a process has read of a key
it believes for five seconds, a revocation included.
"""

import base64
import hashlib
import re
import secrets
import time
from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TypeVar

from redis.asyncio import Redis

from service.accounts.apikey import ApiKey, Grant, Scope, read_record, to_record
from service.accounts.links import link_secret
from service.accounts.load import Loads
from service.accounts.rate import Allowance, Rate, RateExceeded
from service.accounts.usage import (
    Balance,
    DayUsage,
    balance_of,
    read_balance,
    read_usage,
)
from service.accounts.waiting import within
from service.core.errors import QueueUnavailable, Unauthenticated
from service.settings import ConfigurationError, Limits

__all__ = [
    "Accounts",
    "Allowance",
    "ApiKey",
    "Balance",
    "DayUsage",
    "Grant",
    "RateExceeded",
    "Scope",
    "balance_of",
    "checked_secret",
]

_ALL_KEYS = "darkroom:keys"
_WRITE = (Path(__file__).parent / "write.lua").read_text()
_REVOKE = (Path(__file__).parent / "revoke.lua").read_text()
_FORM = re.compile(r"[!-~]{1,256}")
_LEAST_CHOSEN = 16
"""Characters of a key that somebody thought of: it may do everything."""
_TRUST_S = 5.0
_MOST_KNOWN = 10_000
_MOST_UNKNOWN = 1_000

_T = TypeVar("_T")


class Accounts:
    """The keys of all accounts, in Redis.

    Every call but for `authenticate` of a key read lately may raise
    QueueUnavailable: Redis is away.
    """

    def __init__(self, redis: Redis, limits: Limits) -> None:
        self._redis, self._limits = redis, limits
        self._rate = Rate(redis)
        self.loads = Loads(redis, self.list)
        self._write = redis.register_script(_WRITE)
        self._revoke = redis.register_script(_REVOKE)
        self._known: dict[str, tuple[ApiKey, float]] = {}
        self._unknown: dict[str, float] = {}
        self._digests: dict[str, str] = {}
        self._link_secret: bytes | None = None

    async def create(self, grant: Grant) -> tuple[ApiKey, str]:
        """Make a key; return it and its secret, which nobody can read again."""
        secret = "sk_" + _base64url(secrets.token_bytes(32))
        return await self._save(secret, grant), secret

    async def adopt(self, secret: str, grant: Grant) -> ApiKey:
        """Make `secret` a key unless it is one; a revoked one stays revoked.

        Raises:
            ConfigurationError: No client could send it in a header.
        """
        return await self._save(checked_secret(secret), grant)

    async def authenticate(self, secret: str) -> ApiKey:
        """Return the key that `secret` opens.

        Raises:
            Unauthenticated: `invalid_key`, `key_revoked` or `key_expired`.
        """
        if _FORM.fullmatch(secret) is None:
            raise Unauthenticated("this is not an API key")
        return await self._opened(_digest(secret))

    async def find(self, key_id: str) -> ApiKey:
        """Return the key of that id, on behalf of somebody who has not its secret.

        Raises:
            Unauthenticated: `invalid_key`, `key_revoked` or `key_expired`.
        """
        digest = self._digests.get(key_id)
        if digest is None:
            found = await within(self._redis.hget(_ALL_KEYS, key_id))
            if found is None:
                raise Unauthenticated("this API key is not known")
            digest = found.decode()
            _remember(self._digests, key_id, digest, most=_MOST_KNOWN)
        return await self._opened(digest)

    async def is_good(self, key_id: str) -> bool:
        """Whether the key still opens anything; as long as nobody knows, it does."""
        try:
            await self.find(key_id)
        except Unauthenticated:
            return False
        except QueueUnavailable:
            return True
        return True

    async def link_secret(self) -> bytes:
        """Return the secret that signs embed links, the same for all front doors."""
        if self._link_secret is None:
            self._link_secret = await within(link_secret(self._redis))
        return self._link_secret

    async def take(self, key: ApiKey) -> Allowance | None:
        """Count one submission against the key's rate; None: it has none.

        Raises:
            RateExceeded: It was one too many.
        """
        if key.requests_per_minute is None:
            return None
        allowance: Allowance = await within(
            self._rate.take(key.id, per_minute=key.requests_per_minute)
        )
        return allowance

    async def usage(
        self, account: str, first_day: date, last_day: date
    ) -> Sequence[DayUsage]:
        """Return what the account's keys used, both days included, by day and key."""
        rows: Sequence[DayUsage] = await within(
            read_usage(self._redis, account, first_day, last_day)
        )
        return rows

    async def balance(self, key: ApiKey) -> Balance:
        """Return what the key has reserved and used of this month's quota."""
        balance: Balance = await within(read_balance(self._redis, key))
        return balance

    async def list(self) -> list[ApiKey]:
        """Return all keys, oldest first, revoked and expired ones too."""
        digests = await within(self._redis.hvals(_ALL_KEYS))
        async with self._redis.pipeline(transaction=False) as pipe:
            for digest in digests:
                pipe.hgetall(_record(digest.decode()))
            records = await within(pipe.execute())
        keys = [read_record(record, self._limits) for record in records]
        return sorted(keys, key=lambda key: (key.created_at, key.id))

    async def revoke(self, key_id: str) -> ApiKey | None:
        """Refuse the key from now on, within five seconds; None: there is none.

        Twice is the same as once.
        """
        digest = await within(self._redis.hget(_ALL_KEYS, key_id))
        if digest is None:
            return None
        record = _record(digest.decode())
        await within(self._revoke(keys=[record]))
        self._known.pop(digest.decode(), None)
        return await self._read(record)

    async def _save(self, secret: str, grant: Grant) -> ApiKey:
        digest, now = _digest(secret), datetime.now(UTC)
        key_id = "key_" + secrets.token_hex(8)
        fields = to_record(grant, key_id=key_id, created_at=now)
        await within(
            self._write(
                keys=[_record(digest), _ALL_KEYS],
                args=[digest, *(part for pair in fields.items() for part in pair)],
            )
        )
        self._unknown.pop(digest, None)
        key = await self._read(_record(digest))
        if key is None:
            raise QueueUnavailable("a key that was just written is not there")
        return key

    async def _opened(self, digest: str) -> ApiKey:
        known = self._known.get(digest)
        if known is not None and known[1] > time.monotonic():
            return _valid(known[0])
        return _valid(await self._look_up(digest))

    async def _look_up(self, digest: str) -> ApiKey:
        now = time.monotonic()
        if self._unknown.get(digest, 0.0) > now:
            raise Unauthenticated("this API key is not known")
        key = await self._read(_record(digest))
        if key is None:
            _remember(self._unknown, digest, now + _TRUST_S, most=_MOST_UNKNOWN)
            raise Unauthenticated("this API key is not known")
        _remember(self._known, digest, (key, now + _TRUST_S), most=_MOST_KNOWN)
        return key

    async def _read(self, record: str) -> ApiKey | None:
        stored = await within(self._redis.hgetall(record))
        return read_record(stored, self._limits) if stored else None


def checked_secret(secret: str) -> str:
    """Return `secret`, which somebody else chose.

    Raises:
        ConfigurationError: No client could send it in a header, or all could guess it.
    """
    if len(secret) < _LEAST_CHOSEN or _FORM.fullmatch(secret) is None:
        raise ConfigurationError(
            f"DARKROOM_BOOTSTRAP_KEY must be {_LEAST_CHOSEN} to 256 visible ASCII "
            f'characters: try `python3 -c "import secrets; '
            f"print('sk_' + secrets.token_urlsafe())\"`"
        )
    return secret


def _valid(key: ApiKey) -> ApiKey:
    if key.revoked_at is not None:
        raise Unauthenticated("this API key was revoked", code="key_revoked")
    if key.expires_at is not None and key.expires_at <= datetime.now(UTC):
        raise Unauthenticated("this API key has expired", code="key_expired")
    return key


def _remember(cache: dict[str, _T], digest: str, value: _T, *, most: int) -> None:
    cache.pop(digest, None)
    if len(cache) >= most:
        del cache[next(iter(cache))]
    cache[digest] = value


def _record(digest: str) -> str:
    return f"darkroom:key:{digest}"


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
