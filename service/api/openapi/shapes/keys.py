"""API keys, as operators see them; all times are Unix seconds."""

from typing import Literal

from service.api.openapi.shapes import Shape


class Key(Shape):
    """One API key and the limits it is held to; its secret nobody knows."""

    id: str
    object: Literal["key"]
    account: str
    scopes: list[str]
    requests_per_minute: int | None
    queued_jobs: int
    running_jobs: int | None
    quota_units: int | None
    models: list[str] | None
    """Null: all of them."""
    weight: int
    on_ambiguous: Literal["retry", "fail", "hold"]
    created_at: int
    expires_at: int | None
    revoked_at: int | None
    """Refused since then."""


class KeyWithSecret(Key):
    """A key that is new, and shown this once."""

    key: str
    """The secret that is sent along with each call."""


class KeyList(Shape):
    """All keys, oldest first, revoked and expired ones too."""

    object: Literal["list"]
    data: list[Key]
