"""Endpoints: where an account wants to hear of its events."""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from redis.asyncio import Redis

from service.core.errors import (
    EndpointDisabled,
    IdempotencyMismatch,
    InvalidRequest,
    NotFound,
)
from service.core.sameness import cache_key
from service.core.webhooks import TEST, new_secret
from service.job_store.answers import within
from service.job_store.times import maybe_time_of, ms, time_of
from service.webhooks.scripting import script

_ID_BYTES = 12
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where a subscriber wants events.

    Attributes:
        events: Types such as `job.succeeded`; `*`: all that are told unasked.
        secret: Signs what is sent to it.
        old_until: Until then, the secret before this one signs as well.
        reason: Why it is disabled: `asked`, `gone` (it answered 410), `failing`; ''.
        failing_since: Nothing but failures since then, and no long silence.
    """

    id: str
    account: str
    url: str
    events: tuple[str, ...]
    description: str
    secret: str = field(repr=False)
    enabled: bool
    reason: str
    created_at: datetime
    disabled_at: datetime | None = None
    failing_since: datetime | None = None
    old_until: datetime | None = None


class Endpoints:
    """All accounts' endpoints; any call may raise QueueUnavailable.

    Args:
        redis: Where they are kept.
        most: Endpoints an account may have.
        idempotency: For how long the name of a call is known.
    """

    def __init__(
        self, redis: Redis, *, most: int, idempotency: timedelta = _DAY
    ) -> None:
        self._redis, self._most = redis, most
        self._idempotency_ms = ms(idempotency)
        self._add = script(redis, "add")
        self._change = script(redis, "change")
        self._drop = script(redis, "drop")
        self._try = script(redis, "try")

    async def create(
        self,
        account: str,
        *,
        url: str,
        events: Sequence[str],
        description: str,
        secret: str | None,
        name: str | None = None,
    ) -> tuple[Endpoint, bool]:
        """Make an endpoint, with a secret of ours where none is given.

        Returns:
            The endpoint, and whether an earlier call of that idempotency `name` made
            it; then it is as it stands now.

        Raises:
            InvalidRequest: The account has as many as it may (`too_many_endpoints`).
            IdempotencyMismatch: The earlier call said something else.
        """
        endpoint_id = "ep_" + secrets.token_hex(_ID_BYTES)
        fields = {"url": url, "events": " ".join(events), "description": description}
        said = cache_key(fields, secret)
        stored = _flat({**fields, "secret": secret or new_secret()})
        args = [endpoint_id, account, self._most, name or "", said]
        answer = await within(self._add([*args, self._idempotency_ms, *stored]))
        if answer == b"full":
            raise InvalidRequest(
                f"an account may have {self._most} endpoints", code="too_many_endpoints"
            )
        if answer == b"mismatch":
            raise IdempotencyMismatch(
                "the idempotency key was used for another endpoint"
            )
        made = await self.get(answer.decode(), account=account)
        return made, made.id != endpoint_id

    async def get(self, endpoint_id: str, *, account: str) -> Endpoint:
        """Return the endpoint, if it is the account's.

        Raises:
            NotFound: It is not.
        """
        stored = await within(self._redis.hgetall(_key(endpoint_id)))
        if not stored or stored[b"account"] != account.encode():
            raise NotFound("no such endpoint")
        return _read(endpoint_id, stored)

    async def list(self, account: str) -> list[Endpoint]:
        """Return the account's endpoints, oldest first."""
        listing = f"darkroom:endpoints:{account}:all"
        ids = [i.decode() for i in await within(self._redis.zrange(listing, 0, -1))]
        async with self._redis.pipeline(transaction=False) as pipe:
            for endpoint_id in ids:
                pipe.hgetall(_key(endpoint_id))
            found = await within(pipe.execute())
        pairs = zip(ids, found, strict=True)
        return [_read(endpoint_id, stored) for endpoint_id, stored in pairs if stored]

    async def change(
        self,
        endpoint_id: str,
        *,
        account: str,
        fields: Mapping[str, str],
        overlap: timedelta = timedelta(0),
    ) -> Endpoint:
        """Write fields anew.

        Args:
            endpoint_id: Which.
            account: Whose it must be.
            fields: As they are kept; none: nothing happens.
            overlap: How long a secret that is replaced goes on signing.

        Raises:
            NotFound: The account has none of that id.
        """
        if fields:
            args = [endpoint_id, account, ms(overlap), *_flat(fields)]
            if not await within(self._change(args)):
                raise NotFound("no such endpoint")
        return await self.get(endpoint_id, account=account)

    async def delete(self, endpoint_id: str, *, account: str) -> None:
        """Remove an endpoint; deliveries on their way to it end.

        Raises:
            NotFound: The account has none of that id.
        """
        if not await within(self._drop([endpoint_id, account])):
            raise NotFound("no such endpoint")

    async def test(self, endpoint_id: str, *, account: str) -> str:
        """Send an event to the endpoint alone; return the id of the delivery.

        Raises:
            NotFound: The account has none of that id.
            EndpointDisabled: It hears nothing.
        """
        event = "evt_" + secrets.token_hex(_ID_BYTES)
        answer = await within(self._try([endpoint_id, account, TEST, event]))
        return made(answer.decode())

    async def default_secret(self, account: str) -> str:
        """Return what signs deliveries to the URLs that jobs name themselves."""
        secret: str = await within(default_secret(self._redis, account))
        return secret


async def default_secret(redis: Redis, account: str) -> str:
    """Return the account's secret, made on the first call; may raise RedisError."""
    key = f"darkroom:secret:webhooks:{account}"
    async with redis.pipeline(transaction=False) as pipe:
        pipe.set(key, new_secret(), nx=True)
        pipe.get(key)
        _, secret = await pipe.execute()
    return str(secret.decode())


def made(answer: str) -> str:
    """Return what a script answered that was to send something.

    Raises:
        NotFound: There is nothing of that id.
        EndpointDisabled: It would go to an endpoint that is to hear of nothing.
    """
    if answer == "unknown":
        raise NotFound("there is nothing of that id")
    if answer.startswith("endpoint_"):
        raise EndpointDisabled("the endpoint is disabled, or deleted")
    return answer


def _key(endpoint_id: str) -> str:
    return f"darkroom:endpoint:{endpoint_id}"


def _flat(fields: Mapping[str, str]) -> list[str]:
    return [part for pair in fields.items() for part in pair]


def _read(endpoint_id: str, stored: Mapping[bytes, bytes]) -> Endpoint:
    fields = {name.decode(): value.decode() for name, value in stored.items()}
    return Endpoint(
        id=endpoint_id,
        account=fields["account"],
        url=fields["url"],
        events=tuple(fields["events"].split()),
        description=fields["description"],
        secret=fields["secret"],
        enabled=fields["state"] == "enabled",
        reason=fields.get("reason", ""),
        created_at=time_of(fields["created_ms"]),
        disabled_at=maybe_time_of(fields.get("disabled_ms")),
        failing_since=maybe_time_of(fields.get("failing_ms")),
        old_until=maybe_time_of(fields.get("old_until_ms")),
    )
