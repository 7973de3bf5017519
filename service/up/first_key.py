"""The key that a newcomer needs: made on the first start, and shown that once."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from service.settings import Settings
from service.up.folder import write_key

_ACCOUNT = "default"


@dataclass(frozen=True, slots=True)
class FirstKey:
    """What `up` says about the key.

    Attributes:
        secret: To be shown now; None: it was shown at the first start.
    """

    origin: Literal["made", "preset", "kept"]
    secret: str | None


async def ensure_key(settings: Settings, redis_url: str, folder: Path) -> FirstKey:
    """Make or adopt the first key, and keep it for commands on this machine.

    Raises:
        ConfigurationError: The preset key is none that a client could send.
        CannotStart: The data folder does not take it.
        QueueUnavailable: Valkey went away.
    """
    # They take half a second to import, which Valkey uses to start.
    from redis.asyncio import Redis  # noqa: PLC0415

    from service.accounts import Accounts, Grant, Scope  # noqa: PLC0415

    grant = Grant(account=_ACCOUNT, scopes=frozenset(Scope))
    async with Redis.from_url(redis_url) as redis:
        accounts = Accounts(redis, settings.limits)
        if settings.bootstrap_key is not None:
            secret = settings.bootstrap_key.get_secret_value()
            await accounts.adopt(secret, grant)
            write_key(folder, secret)
            return FirstKey("preset", secret)
        if await accounts.list():
            return FirstKey("kept", None)
        _, secret = await accounts.create(grant)
        write_key(folder, secret)
        return FirstKey("made", secret)
