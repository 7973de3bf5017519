"""Pydantic models and TypedDicts as the document's schemas, without their small talk.

Pydantic gives every field a title that repeats its name, and every field that may be
left out a default of null and an `anyOf`; readers and generators of clients fare
better without.
"""

import re
from collections.abc import Iterable
from functools import cache
from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode, JsonSchemaValue
from pydantic_core import core_schema

_REF = "#/components/schemas/{model}"
_READ: JsonSchemaMode = "validation"
_WRAPPED = re.compile(r"(?<!\n)\n(?![\n*])")
"""Where a docstring's line ends and its paragraph goes on."""


class _Terse(GenerateJsonSchema):
    """Writes `"type": ["string", "null"]`, no titles and no defaults of null."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        """Say never; `schema` may be any."""
        _ = schema
        return False

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        """Drop a default that only says: nothing was said."""
        written = super().default_schema(schema)
        if written.get("default", ...) is None:
            del written["default"]
        return written

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        """Let null be one more type, where there is but one."""
        inner = self.generate_inner(schema["schema"])
        if not isinstance(inner.get("type"), str):
            return super().nullable_schema(schema)
        written = {**inner, "type": [inner["type"], "null"]}
        if "const" in inner:
            written["enum"] = [written.pop("const"), None]
        elif "enum" in inner:
            written["enum"] = [*inner["enum"], None]
        return written


def schemas_of(kinds: Iterable[Any]) -> tuple[dict[Any, Any], dict[str, Any]]:
    """Return what refers to each kind, and all that is referred to, by name."""
    references, named = _written(tuple(dict.fromkeys(kinds)))
    return dict(references), dict(named)


@cache  # a third of a second, and tests open front doors by the hundred
def _written(kinds: tuple[Any, ...]) -> tuple[dict[Any, Any], dict[str, Any]]:
    adapters = [(kind, _READ, TypeAdapter(kind)) for kind in kinds]
    references, rest = TypeAdapter.json_schemas(
        adapters, ref_template=_REF, schema_generator=_Terse
    )
    named: dict[str, Any] = rest["$defs"]
    for schema in named.values():
        schema.pop("title", None)
        for told in (schema, *schema.get("properties", {}).values()):
            if "description" in told:
                told["description"] = _WRAPPED.sub(" ", told["description"])
    return {kind: ref for (kind, _), ref in references.items()}, named
