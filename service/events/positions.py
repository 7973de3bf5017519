"""Ids of entries in Redis's streams, as whole numbers: they compare, and are small."""

import re
from datetime import datetime
from typing import NewType

Position = NewType("Position", int)

START = Position(0)
"""Before the first entry of any stream."""

_ID = re.compile(r"([0-9]{1,20})-([0-9]{1,20})")
_BITS = 64
_MOST = (1 << _BITS) - 1


def position_of(text: str) -> Position | None:
    """Read an id such as `1795280100538-10`; None: it is none."""
    parts = _ID.fullmatch(text)
    if parts is None:
        return None
    milliseconds, number = int(parts[1]), int(parts[2])
    if max(milliseconds, number) > _MOST:
        return None
    return Position(milliseconds << _BITS | number)


def id_of(position: Position) -> str:
    """Return the id as Redis writes it."""
    return f"{position >> _BITS}-{position & _MOST}"


def milliseconds_of(position: Position) -> int:
    """Return when that was, since 1970, by Redis's clock."""
    return position >> _BITS


def first_of(moment: datetime) -> Position:
    """Return the first place that an event of that millisecond may have."""
    return Position(round(moment.timestamp() * 1000) << _BITS)


def before(position: Position) -> Position:
    """Return the last place that lies before it."""
    return Position(position - 1)
