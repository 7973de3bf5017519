"""How JSON becomes frozen objects: by one rule, whichever server wrote it.

A field that is absent or null keeps its default; one that this version does not know
stands in `raw`, beside all the others. Times are aware, and in UTC.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from functools import cache, partial
from types import NoneType
from typing import Any, Self, get_args, get_origin, get_type_hints

_Reader = Callable[[Any], Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Object:
    """What all have in common.

    Attributes:
        raw: The JSON object as it came.
    """

    raw: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, raw: Mapping[str, Any]) -> Self:
        """Read a JSON object.

        Raises:
            ValueError: It is another one.
        """
        try:
            given = {
                name: read(raw[name])
                for name, read in cls._readers().items()
                if raw.get(name) is not None
            }
            return cls(raw=raw, **given)
        except (AttributeError, TypeError, ValueError, OverflowError) as exc:
            raise ValueError(f"this is no {cls.__name__.lower()}: {exc}") from exc

    @classmethod
    @cache
    def _readers(cls) -> Mapping[str, _Reader]:
        hints = get_type_hints(cls)
        names = [each.name for each in fields(cls) if each.name != "raw"]
        return {name: _reader(hints[name]) for name in names}


def _reader(hint: Any) -> _Reader:
    wanted = next((arg for arg in get_args(hint) if arg is not NoneType), None)
    if get_origin(hint) is tuple:
        return partial(_all, _reader(wanted))
    if NoneType in get_args(hint):
        return _reader(wanted)
    if hint is datetime:
        return partial(datetime.fromtimestamp, tz=UTC)
    if isinstance(hint, type) and issubclass(hint, Object):
        return hint.of
    return _as_it_is


def _all(read: _Reader, items: list[Any]) -> tuple[Any, ...]:
    return tuple(read(item) for item in items)


def _as_it_is(value: Any) -> Any:
    return value
