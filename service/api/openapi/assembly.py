"""From the tables to the document: OpenAPI 3.1, ready to be written as JSON."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from http import HTTPStatus
from typing import Any

from service.api.openapi import bodies, codes, headers
from service.api.openapi.links import Links
from service.api.openapi.operation import (
    EVENTS,
    FORM,
    JSON,
    LINES,
    Access,
    Answer,
    Body,
    Images,
    Operation,
    Parameter,
)
from service.api.openapi.samples import samples_of
from service.api.openapi.schemas import schemas_of
from service.api.openapi.shapes.errors import Error

_SECURITY: Mapping[Access, list[dict[str, list[str]]]] = {
    Access.OPEN: [],
    Access.EITHER: [{}, {"bearer": []}, {"header": []}],
    Access.KEY: [{"bearer": []}, {"header": []}],
    Access.URL: [{"bearer": []}, {"header": []}, {"query": []}, {}],
}
_SCHEMES = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "The usual way."},
    "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    "query": {
        "type": "apiKey",
        "in": "query",
        "name": "key",
        "description": "For addresses of images alone, by keys with the scope `embed`.",
    },
}


def assemble(
    operations: Sequence[Operation],
    *,
    info: Mapping[str, Any],
    tags: Mapping[str, str],
    base_url: str,
) -> dict[str, Any]:
    """Return the document.

    Args:
        operations: All routes, in the order readers will see.
        info: Title, version and introduction.
        tags: What the chapters are about, in order.
        base_url: Where the routes are served.
    """
    references, schemas = schemas_of(_kinds(operations))
    schemas[bodies.LINK] = dict(bodies.LINK_SCHEMA)
    _add_bodies([o.body for o in operations if o.body is not None], schemas)
    links = Links(operations)
    paths: dict[str, dict[str, Any]] = defaultdict(dict)
    for operation in operations:
        written = _operation(operation, references, links)
        paths[operation.path][operation.method.lower()] = written
    return {
        "openapi": "3.1.0",
        "info": dict(info),
        "servers": [{"url": base_url}],
        "tags": [{"name": name, "description": text} for name, text in tags.items()],
        "paths": dict(paths),
        "components": {
            "schemas": dict(sorted(schemas.items())),
            "headers": headers.shown(),
            "links": links.shown(),
            "securitySchemes": _SCHEMES,
        },
    }


def _kinds(operations: Iterable[Operation]) -> Iterator[Any]:
    yield Error
    for operation in operations:
        if operation.body is not None:
            yield operation.body.model
            yield from filter(None, (operation.body.line,))
        for answer in operation.answers.values():
            yield from filter(None, (answer.shape, answer.events))


def _add_bodies(taken: Sequence[Body], schemas: dict[str, Any]) -> None:
    """Put what requests may carry in the place of what their models read."""
    read = {body.name: schemas[body.model.__name__] for body in taken}
    for model in {body.model.__name__ for body in taken}:
        del schemas[model]
    for body in taken:
        if body.line is not None:
            name, line = body.line.__name__, replace(body, images=Images.SOME)
            schemas[name] = bodies.json_schema(line, schemas[name])
        if body.file is not None:
            schemas[body.name] = bodies.form_schema(body, read[body.name], schemas)
            continue
        schemas[body.name] = bodies.json_schema(body, read[body.name])
        if body.images is not Images.NONE:
            form = bodies.form_schema(body, read[body.name], schemas)
            schemas[f"{body.name}Form"] = form


def _operation(
    operation: Operation, references: Mapping[Any, Any], links: Links
) -> dict[str, Any]:
    written: dict[str, Any] = {
        "operationId": operation.id,
        "tags": [operation.tag],
        "summary": operation.summary,
        "description": operation.text,
        "security": _SECURITY[operation.access],
        "parameters": [_parameter(p) for p in operation.parameters],
    }
    if operation.body is not None:
        written["requestBody"] = _body(operation.body)
    answers = {
        str(status): _answer(answer, references, links)
        for status, answer in operation.answers.items()
    }
    refusals = _refusals(operation, references)
    # A status may stand for both, as 409 or 503 do where a job says how it ended.
    written["responses"] = dict(sorted({**refusals, **answers}.items()))
    written["x-codeSamples"] = [
        {"lang": "Shell", "label": shows or "By curl", "source": source}
        for shows, source in samples_of(operation).items()
    ]
    return {name: value for name, value in written.items() if value != ""}


def _parameter(parameter: Parameter) -> dict[str, Any]:
    written = {
        "name": parameter.name,
        "in": parameter.where,
        "required": parameter.required or parameter.where == "path",
        "description": parameter.text,
        "schema": parameter.schema,
    }
    if parameter.example is not None:
        written["example"] = parameter.example
    return written


def _body(body: Body) -> dict[str, Any]:
    if body.file is not None:
        return {"required": True, "content": {FORM: {"schema": _named(body.name)}}}
    examples = _examples(body.examples)
    content = {JSON: {"schema": _named(body.name), "examples": examples}}
    if body.images is not Images.NONE:
        # A file cannot stand in an example; the command lines show them.
        content[FORM] = {"schema": _named(f"{body.name}Form")}
    if body.line is not None:
        content[LINES] = {"schema": _named(body.line.__name__)}
    return {"required": body.needed, "content": content}


def _named(schema: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{schema}"}


def _examples(examples: Mapping[str, Any]) -> dict[str, Any]:
    return {
        _slug(shows): {"summary": shows, "value": value}
        for shows, value in examples.items()
    }


def _slug(words: str) -> str:
    return "".join(c if c.isalnum() else "-" for c in words.lower()).strip("-")


def _answer(
    answer: Answer, references: Mapping[Any, Any], links: Links
) -> dict[str, Any]:
    content: dict[str, Any] = {}
    if answer.shape is not None:
        content[JSON] = {"schema": references[answer.shape]}
        if answer.example is not None:
            content[JSON]["example"] = answer.example
    if answer.events is not None:
        content[EVENTS] = {"schema": _event(answer, references)}
    for media_type, schema in answer.media.items():
        content[media_type] = {"schema": schema}
    written = {
        "description": answer.text,
        "headers": _headers(answer.headers),
        "content": content,
        "links": links.of(answer.shape),
    }
    return {name: value for name, value in written.items() if value != {}}


def _event(answer: Answer, references: Mapping[Any, Any]) -> dict[str, Any]:
    """Return the schema of one event of a stream."""
    data: dict[str, Any] = {
        "type": "string",
        "contentMediaType": JSON,
        "contentSchema": references[answer.events],
    }
    if answer.last_event is not None:
        data = {"anyOf": [{"const": answer.last_event}, data]}
    name = {
        "type": "string",
        "description": "The `type` of its data, where it has one.",
    }
    return {
        "type": "object",
        "properties": {"event": name, "data": data},
        "required": ["data"],
    }


def _headers(names: Iterable[str]) -> dict[str, Any]:
    return {
        name: {"$ref": f"#/components/headers/{name}"}
        for name in ("x-request-id", *names)
    }


def _refusals(
    operation: Operation, references: Mapping[Any, Any]
) -> dict[str, dict[str, Any]]:
    by_status: dict[int, list[str]] = defaultdict(list)
    for code in sorted({*codes.ALWAYS, *operation.refuses}):
        usual = codes.MEANINGS[code].status
        by_status[operation.statuses.get(code, usual)].append(code)
    return {
        str(status): {
            "description": _told(status, found),
            "headers": _headers(headers.OF_STATUS.get(status, ())),
            "content": {JSON: {"schema": references[Error]}},
            "x-codes": found,
        }
        for status, found in by_status.items()
    }


def _told(status: int, found: Sequence[str]) -> str:
    named = ", ".join(f"`{code}`" for code in found)
    return f"{HTTPStatus(status).phrase}: {named}"
