"""JSON values as YAML that people like to read; nothing else is YAML here.

A string stands bare only where no reader of any YAML version could take it for
something else, and as a block where it has several lines.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import orjson

_BARE = re.compile(r"[A-Za-z$/_][A-Za-z0-9_$/.{}+-]*(?: [A-Za-z0-9_$/.{}+-]+)*")
_WORDS = frozenset({"null", "true", "false", "yes", "no", "on", "off", "y", "n"})
_BLOCK = re.compile(r"\S[ -~\u00a0-\ud7ff\n]*\S")


def to_yaml(value: Mapping[str, Any]) -> str:
    """Return the mapping as a YAML document."""
    return "\n".join(_block(value, "")) + "\n"


def _block(value: Any, indent: str) -> Iterator[str]:
    """Write a collection that is not empty, line by line."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _entry(f"{indent}{_scalar(str(name))}:", inner, indent)
        return
    for inner in value:
        if _is_collection(inner):
            first, *rest = _block(inner, f"{indent}  ")
            yield f"{indent}- {first.lstrip()}"
            yield from rest
        else:
            yield f"{indent}- {_scalar(inner)}"


def _entry(head: str, inner: Any, indent: str) -> Iterator[str]:
    if _is_collection(inner):
        yield head
        yield from _block(inner, f"{indent}  ")
    elif isinstance(inner, str) and "\n" in inner and _BLOCK.fullmatch(inner):
        yield f"{head} |-"
        yield from (f"{indent}  {line}" if line else "" for line in inner.split("\n"))
    else:
        yield f"{head} {_scalar(inner)}"


def _is_collection(value: Any) -> bool:
    """Whether it needs lines of its own; empty ones do not."""
    if isinstance(value, str):
        return False
    return isinstance(value, Mapping | Sequence) and bool(value)


def _scalar(value: Any) -> str:
    bare = isinstance(value, str) and _BARE.fullmatch(value) is not None
    if bare and value.lower() not in _WORDS:
        return str(value)
    return orjson.dumps(value).decode()
