"""ImageRouter's small answers."""

from typing import Literal

from service.api.openapi.shapes import Shape


class Credits(Shape):
    """Quota units of the key this month, as text; `Infinity` where it has no quota."""

    remaining_credits: str
    """What unfinished jobs reserved is gone already."""
    credit_usage: str
    total_deposits: str
    """The quota."""
    reserved_credits: str
    """What unfinished jobs may cost."""
    unit: Literal["quota_units"]
    period: str
    """The month in UTC, such as `2026-11`."""


class KeyTest(Shape):
    """A key that is good."""

    success: Literal[True]
    credits: int | None
    """Quota units left this month; null: it has no quota."""
    account: str
    key_id: str
    scopes: list[Literal["admin", "embed", "generate"]]
