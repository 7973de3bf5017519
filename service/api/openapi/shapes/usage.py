"""What was used."""

from typing import Literal

from typing_extensions import TypedDict

from service.api.openapi.shapes import Shape


class Cost(Shape):
    """US dollars, in all and by who knows them."""

    usd: float
    reported: float
    """By the provider."""
    priced: float
    """By the catalog, which names the very case."""
    estimated: float
    """By a default of the catalog."""


class UsageRow(Shape):
    """One day of one key, or a sum of several; a job counts where it was submitted."""

    date: str | None
    """UTC; null where days are summed up."""
    key_id: str | None
    """Null where keys are summed up."""
    jobs: int
    """How many were submitted; what is left of them has not ended yet."""
    succeeded: int
    failed: int
    canceled: int
    expired: int
    images: int
    """How many were delivered."""
    quota_units: int
    """How many were charged for them."""
    cost: Cost


_Days = TypedDict("_Days", {"from": str, "to": str})
"""The first day and the last one; `from` is a word of Python's."""


class Usage(_Days, Shape):
    """What an account used on some days."""

    object: Literal["usage"]
    account: str
    group_by: Literal["day", "key"] | None
    data: list[UsageRow]
    """By day and key; who used nothing is not there."""
    total: UsageRow
