"""Holds every answer a test receives to what the document says of its route.

Tests that ask for something else altogether bear witness to the document on the way:
a status, a code or a field that it does not know fails them.
"""

import re
from collections.abc import Iterator, Mapping
from copy import deepcopy
from functools import cache
from typing import Any

import orjson
from jsonschema import Draft202012Validator

from service.api.openapi.documents import document_of

_SLASHES = re.compile(r"\{(?:key|model|name)\}")
"""Parts of a path that may hold slashes."""


class Unwritten(AssertionError):
    """The document does not tell of this answer."""


def closed(document: dict[str, Any]) -> dict[str, Any]:
    """Return a copy whose objects have no fields but those they name.

    In public they stay open, since answers may grow; in a test, a field that the
    document does not name is a mistake.
    """
    copy = deepcopy(document)
    for schema in objects(copy["components"]["schemas"]):
        schema.setdefault("additionalProperties", False)
    return copy


def objects(value: Any) -> Iterator[dict[str, Any]]:
    """Every schema of an object with fields."""
    if isinstance(value, dict):
        if isinstance(value.get("properties"), dict):
            yield value
        for inner in value.values():
            yield from objects(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from objects(inner)


class Witness:
    """Knows the document by heart."""

    def __init__(self) -> None:
        self._document = closed(document_of("http://127.0.0.1"))
        templates = sorted(self._document["paths"], key=lambda path: path.count("{"))
        self._routes = [(_pattern(path), path) for path in templates]
        self._validator = cache(self._make_validator)

    def check(
        self,
        method: str,
        path: str,
        status: int,
        headers: Mapping[str, str],
        raw: bytes,
    ) -> bool:
        """Check one answer; return whether the document tells of its route at all.

        Raises:
            Unwritten: It is none of those the document tells of.
        """
        route = self._find(path)
        told = self._document["paths"].get(route, {}).get(method.lower())
        if told is None:
            return False  # no route of ours, or a method that it has not
        name = f"{method} {route} {status}"
        response = told["responses"].get(str(status))
        if response is None:
            raise Unwritten(f"{name}: no such status")
        media_type = headers.get("Content-Type", "").partition(";")[0]
        if media_type not in response.get("content", {"": None, media_type: None}):
            raise Unwritten(f"{name}: no such content, {media_type}")
        if media_type == "application/json":
            validator = self._validator(route, method.lower(), status)
            _check_body(name, response, validator, orjson.loads(raw))
        return True

    def _find(self, path: str) -> str | None:
        bare = path.partition("?")[0]
        return next(
            (route for seen, route in self._routes if seen.fullmatch(bare)), None
        )

    def _make_validator(
        self, route: str, method: str, status: int
    ) -> Draft202012Validator:
        response = self._document["paths"][route][method]["responses"][str(status)]
        schema = response["content"]["application/json"]["schema"]
        return Draft202012Validator({**schema, **self._components})

    @property
    def _components(self) -> dict[str, Any]:
        return {"components": self._document["components"]}


def _check_body(
    name: str, response: dict[str, Any], validator: Draft202012Validator, body: Any
) -> None:
    for error in validator.iter_errors(body):
        raise Unwritten(f"{name}: {error.json_path}: {error.message[:500]}")
    if "x-codes" in response and body["error"]["code"] not in response["x-codes"]:
        raise Unwritten(f"{name}: no such code, {body['error']['code']}")


def _pattern(path: str) -> re.Pattern[str]:
    parts = re.split(r"(\{\w+\})", path)
    return re.compile("".join(map(_part, parts)))


def _part(part: str) -> str:
    if not part.startswith("{"):
        return re.escape(part)
    return ".+" if _SLASHES.fullmatch(part) else "[^/]+"
