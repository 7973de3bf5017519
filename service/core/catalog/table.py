"""One TOML table, read key by key; what nobody asked for is a mistake."""

from collections.abc import Collection
from decimal import Decimal
from typing import Any, TypeVar

_T = TypeVar("_T")


class Mistake(Exception):
    """One thing wrong in the catalog: the path of the key, and why."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path}: {reason}")


class Table:
    """Reads typed values of one table; each accessor returns None for an absent key.

    Args:
        value: What TOML holds there.
        path: Where that is, for messages.

    Raises:
        Mistake: It is no table; each accessor likewise.
    """

    def __init__(self, value: object, path: str) -> None:
        if not isinstance(value, dict):
            raise Mistake(path, "must be a table")
        self._left: dict[str, Any] = dict(value)
        self._path = path

    @property
    def path(self) -> str:
        """Where the table is, for messages."""
        return self._path

    def wrong(self, key: str, reason: str) -> Mistake:
        """Return the mistake of `key`, for the caller to raise."""
        return Mistake(f"{self._path}.{key}", reason)

    def finish(self) -> None:
        """Refuse the keys that nobody has read."""
        for key in self._left:
            raise self.wrong(key, "is not known here")

    def required(self, key: str, value: _T | None) -> _T:
        """Return `value`, read under `key`, which must not be absent."""
        if value is None:
            raise self.wrong(key, "is missing")
        return value

    def any(self, key: str) -> Any:
        """Return whatever stands there."""
        return self._left.pop(key, None)

    def text(self, key: str) -> str | None:
        """Return a string that is not empty."""
        value = self._left.pop(key, None)
        if value is None:
            return None
        if not isinstance(value, str) or not value.strip():
            raise self.wrong(key, "must be a string that is not empty")
        return value

    def choice(self, key: str, known: Collection[str]) -> str | None:
        """Return one of the `known` strings."""
        value = self.text(key)
        if value is not None and value not in known:
            raise self.wrong(key, f"{value!r} is none of {', '.join(known)}")
        return value

    def texts(self, key: str) -> tuple[str, ...] | None:
        """Return a list of strings that is not empty and repeats nothing."""
        value = self._left.pop(key, None)
        if value is None:
            return None
        if not isinstance(value, list) or not value:
            raise self.wrong(key, "must be a list that is not empty")
        if not all(isinstance(item, str) and item for item in value):
            raise self.wrong(key, "must hold strings only")
        if len(set(value)) < len(value):
            raise self.wrong(key, "names something twice")
        return tuple(value)

    def choices(self, key: str, known: Collection[str]) -> tuple[str, ...] | None:
        """Return a list of some of the `known` strings."""
        values = self.texts(key)
        for value in values or ():
            if value not in known:
                raise self.wrong(key, f"{value!r} is none of {', '.join(known)}")
        return values

    def whole(self, key: str, low: int, high: int) -> int | None:
        """Return a whole number from `low` to `high`."""
        value = self._left.pop(key, None)
        if value is None:
            return None
        if type(value) is not int or not low <= value <= high:
            raise self.wrong(key, f"must be a whole number from {low} to {high}")
        return value

    def number(self, key: str, low: Decimal | int, high: int) -> Decimal | None:
        """Return a number from `low` to `high`."""
        value = self._left.pop(key, None)
        return None if value is None else self.as_number(key, value, low, high)

    def as_number(
        self, key: str, value: object, low: Decimal | int, high: int
    ) -> Decimal:
        """Return `value`, met under `key`, as a number from `low` to `high`."""
        if isinstance(value, (int, Decimal)) and not isinstance(value, bool):
            number = Decimal(value)
            if number.is_finite() and low <= number <= high:
                return number
        raise self.wrong(key, f"must be a number from {low} to {high}")

    def flag(self, key: str) -> bool | None:
        """Return true or false."""
        value = self._left.pop(key, None)
        if value is not None and not isinstance(value, bool):
            raise self.wrong(key, "must be true or false")
        return value
