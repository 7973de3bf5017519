"""The text of a form: its fields by name, bounded in number and in all."""

import re
from typing import Any

from service.api.body import too_large
from service.core.errors import InvalidRequest

_MOST_PARTS = 64
_SHOWN = 64
_INNER = re.compile(r"([^\[\]]+)\[([^\[\]]+)\]")


class FormFields:
    """Gathers them part by part; `begin` each part, one that is a file as well.

    Whatever it raises is an InvalidRequest.

    Args:
        most_bytes: Of all text together.

    Attributes:
        values: Text by name; `a[b]` is `b` in a dictionary `a`.
    """

    def __init__(self, *, most_bytes: int) -> None:
        self.values: dict[str, Any] = {}
        self._most_bytes = most_bytes
        self._parts = self._bytes = 0
        self._name, self._text = "", bytearray()

    def begin(self, name: str) -> None:
        """Hear of the next part (`too_many_parts`)."""
        self._parts += 1
        if self._parts > _MOST_PARTS:
            raise InvalidRequest(
                f"the form has more than {_MOST_PARTS} parts", code="too_many_parts"
            )
        self._name, self._text = name, bytearray()

    def more(self, data: bytes) -> None:
        """Take some of the part's text (`body_too_large`)."""
        self._text += data
        self._bytes += len(data)
        if self._bytes > self._most_bytes:
            raise too_large(self._most_bytes)

    def text(self) -> str:
        """Return the text of the part, which is whole (`invalid_encoding`)."""
        try:
            return self._text.decode()
        except UnicodeDecodeError:
            raise InvalidRequest(
                "a field of the form is not UTF-8",
                code="invalid_encoding",
                param=self._name[:_SHOWN],
            ) from None

    def put(self) -> None:
        """Take the part for a field (`duplicate_field`)."""
        values: Any = self.values
        name = self._name
        inner = _INNER.fullmatch(name)
        if inner is not None:
            values, name = values.setdefault(inner[1], {}), inner[2]
        if not isinstance(values, dict) or name in values:
            raise duplicate(self._name)
        values[name] = self.text()


def duplicate(name: str) -> InvalidRequest:
    """Return the error for a field that came before."""
    return InvalidRequest(
        "a field of the form occurs twice", code="duplicate_field", param=name[:_SHOWN]
    )


def takes_no_file(name: str) -> InvalidRequest:
    """Return the error for a file in such a field."""
    return InvalidRequest(
        "a file is sent in a field that takes none",
        code="unknown_field",
        param=name[:_SHOWN],
    )
