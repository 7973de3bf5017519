"""A JSON Schema in a few words, for people."""

from collections.abc import Mapping
from html import escape
from typing import Any

_BOUNDS = {
    "minimum": "at least {:,}",
    "maximum": "at most {:,}",
    "exclusiveMinimum": "above {:,}",
    "exclusiveMaximum": "below {:,}",
    "minLength": "at least {:,} characters",
    "maxLength": "at most {:,} characters",
    "maxItems": "at most {:,}",
    "maxProperties": "at most {:,}",
}
_USUAL = {"minLength": 1}
_MOST_SHOWN = 12
_LARGEST = 10**9


def kind_of(schema: Mapping[str, Any]) -> str:
    """Return what the schema takes, as HTML: objects are links to their tables."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f'<a href="#{name}">{name}</a>'
    if "contentSchema" in schema:
        return kind_of(schema["contentSchema"])
    for several in ("anyOf", "oneOf"):
        if several in schema:
            some = (one for one in schema[several] if one != {"type": "null"})
            return " or ".join(map(kind_of, some))
    if "const" in schema:
        return _literal(schema["const"])
    if "enum" in schema and len(schema["enum"]) <= _MOST_SHOWN:
        return " or ".join(_literal(v) for v in schema["enum"] if v is not None)
    return _typed(schema)


def bounds_of(schema: Mapping[str, Any]) -> str:
    """Return between what a value must lie, and what it is if unsaid, as HTML."""
    said = [
        words.format(schema[name])
        for name, words in _BOUNDS.items()
        if name in schema and schema[name] != _USUAL.get(name)
        if abs(schema[name]) <= _LARGEST
    ]
    if "default" in schema:
        said.append(f"{_literal(schema['default'])} if unsaid")
    return ", ".join(said)


def _typed(schema: Mapping[str, Any]) -> str:
    types = schema.get("type", "anything")
    names = [types] if isinstance(types, str) else [t for t in types if t != "null"]
    if names == ["array"]:
        return f"list of {kind_of(schema.get('items', {}))}"
    values = schema.get("additionalProperties")
    if names == ["object"] and isinstance(values, Mapping):
        return f"object of {kind_of(values)} by name"
    if schema.get("format") == "binary":
        return "file"
    return " or ".join(names)


def _literal(value: Any) -> str:
    if value is True or value is False:
        return f"<code>{str(value).lower()}</code>"
    return f"<code>{escape(str(value))}</code>" if value != "" else "empty"
