"""What an API key may do, and how its record is written down; never the secret."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from service.core.retries import OnAmbiguous
from service.settings import Limits


class Scope(StrEnum):
    """What a key is for; only one with `embed` works inside a URL."""

    GENERATE = "generate"
    EMBED = "embed"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """One key and the limits it is held to, its own or the default ones.

    Attributes:
        id: `key_` and 16 characters; safe to log, no use to a thief.
        account: Who owns its jobs and shares a part of the fleet.
        requests_per_minute: Submissions; None: no limit.
        queued_jobs: Most unfinished jobs.
        running_jobs: Most of them in work at once, the others wait; None: no limit.
        quota_units: Units per calendar month (UTC); None: no limit.
        models: Canonical names it may ask for; None: all.
        weight: The account's share of the fleet next to others, at least 1.
        on_ambiguous: What is done where nobody knows whether images were bought.
        expires_at: Refused from then on; None: never.
        revoked_at: Refused since then.
    """

    id: str
    account: str
    scopes: frozenset[Scope]
    created_at: datetime
    requests_per_minute: int | None = None
    queued_jobs: int = 100_000
    running_jobs: int | None = None
    quota_units: int | None = None
    models: frozenset[str] | None = None
    weight: int = 1
    on_ambiguous: OnAmbiguous = OnAmbiguous.RETRY
    expires_at: datetime | None = None
    revoked_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What a new key is given; None: the default of `Limits`, as it stands when read.

    Raises:
        ValueError: A sentence that says what cannot be granted.
    """

    account: str
    scopes: frozenset[Scope] = frozenset({Scope.GENERATE})
    requests_per_minute: int | None = None
    queued_jobs: int | None = None
    running_jobs: int | None = None
    quota_units: int | None = None
    models: frozenset[str] | None = None
    weight: int = 1
    on_ambiguous: OnAmbiguous = OnAmbiguous.RETRY
    expires_at: datetime | None = None

    def __post_init__(self) -> None:
        if _ACCOUNT.fullmatch(self.account) is None:
            raise ValueError(
                "an account is 1 to 64 letters, digits, dots, dashes or underscores"
            )
        if not self.scopes:
            raise ValueError("a key needs at least one scope")
        for name in (*_LIMITS, "weight"):
            value, least = getattr(self, name), 0 if name == "quota_units" else 1
            if value is not None and not least <= value <= _MOST:
                raise ValueError(f"{name} is {least} to {_MOST}")
        if self.expires_at is not None:
            _check_expiry(self.expires_at)


def _check_expiry(at: datetime) -> None:
    if at.tzinfo is None:
        raise ValueError("the time of expiry needs a time zone")
    try:
        at.astimezone(UTC)
    except OverflowError as exc:
        raise ValueError("the time of expiry is out of range") from exc


_LIMITS = ("requests_per_minute", "queued_jobs", "running_jobs", "quota_units")
_MOST = 2**53
"""Redis's scripts count in doubles."""
_ACCOUNT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def to_record(grant: Grant, *, key_id: str, created_at: datetime) -> dict[str, str]:
    """Return the fields of the key's record."""
    fields = {
        "id": key_id,
        "account": grant.account,
        "scopes": " ".join(sorted(grant.scopes)),
        "weight": str(grant.weight),
        "created_ms": _to_ms(created_at),
    }
    for name in _LIMITS:
        if (value := getattr(grant, name)) is not None:
            fields[name] = str(value)
    if grant.models is not None:
        fields["models"] = " ".join(sorted(grant.models))
    if grant.on_ambiguous is not OnAmbiguous.RETRY:
        fields["on_ambiguous"] = grant.on_ambiguous.value
    if grant.expires_at is not None:
        fields["expires_ms"] = _to_ms(grant.expires_at)
    return fields


def read_record(stored: Mapping[bytes, bytes], limits: Limits) -> ApiKey:
    """Read what `to_record` wrote; `limits` fill in what was left open."""
    fields = {name.decode(): value.decode() for name, value in stored.items()}
    models = fields.get("models")

    def number(name: str) -> int | None:
        return int(fields[name]) if name in fields else getattr(limits, name)

    return ApiKey(
        id=fields["id"],
        account=fields["account"],
        scopes=frozenset(Scope(scope) for scope in fields["scopes"].split()),
        created_at=_from_ms(fields["created_ms"]),
        requests_per_minute=number("requests_per_minute"),
        queued_jobs=number("queued_jobs") or limits.queued_jobs,
        running_jobs=number("running_jobs"),
        quota_units=number("quota_units"),
        models=None if models is None else frozenset(models.split()),
        weight=int(fields["weight"]),
        on_ambiguous=OnAmbiguous(fields.get("on_ambiguous", OnAmbiguous.RETRY)),
        expires_at=_from_ms(fields["expires_ms"]) if "expires_ms" in fields else None,
        revoked_at=_from_ms(fields["revoked_ms"]) if "revoked_ms" in fields else None,
    )


def _to_ms(at: datetime) -> str:
    return str(int(at.timestamp() * 1000))


def _from_ms(ms: str) -> datetime:
    return datetime.fromtimestamp(min(int(ms), _LAST_MS) / 1000, tz=UTC)


_LAST_MS = 253_402_300_799_000
"""The end of year 9999: no record, however odd, keeps the others from being read."""
