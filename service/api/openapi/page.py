"""The document as a page for people: no script, nothing from elsewhere.

It is made from the document alone, so that the two cannot differ.
"""

from collections.abc import Iterable, Iterator, Mapping
from html import escape
from pathlib import Path
from typing import Any

from service.api.openapi.codes import MEANINGS
from service.api.openapi.kinds import bounds_of, kind_of
from service.api.openapi.prose import inline, paragraphs

STYLE = Path(__file__).with_name("page.css").read_text("utf-8")


def page_of(document: Mapping[str, Any]) -> str:
    """Return the page."""
    title = escape(document["info"]["title"])
    parts = (
        '<!doctype html><html lang="en"><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{title}: the API</title><style>{STYLE}</style>",
        f"<nav>{''.join(_contents(document))}</nav>",
        f"<main>{''.join(_chapters(document))}</main></html>",
    )
    return "\n".join(parts)


def _operations(document: Mapping[str, Any]) -> Iterator[tuple[str, str, Any]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


def _of_tag(document: Mapping[str, Any], tag: str) -> list[tuple[str, str, Any]]:
    return [found for found in _operations(document) if tag in found[2]["tags"]]


def _anchor(words: str) -> str:
    return words.lower().replace(" ", "-")


def _contents(document: Mapping[str, Any]) -> Iterator[str]:
    yield f'<a class="home" href="#top">{escape(document["info"]["title"])}</a>'
    for tag in document["tags"]:
        name = tag["name"]
        yield f'<h2><a href="#{_anchor(name)}">{escape(name)}</a></h2><ul>'
        for method, path, operation in _of_tag(document, name):
            shown = f"{_method(method)}<span>{escape(operation['summary'])}</span>"
            title = escape(f"{method} {path}")
            yield f'<li><a href="#{operation["operationId"]}" title="{title}">'
            yield f"{shown}</a></li>"
        yield "</ul>"
    yield '<h2><a href="#objects">Objects</a></h2>'
    yield '<h2><a href="#errors">Errors</a></h2>'


def _chapters(document: Mapping[str, Any]) -> Iterator[str]:
    info = document["info"]
    yield f'<header id="top"><h1>{escape(info["title"])}</h1>'
    yield f"{paragraphs(info['description'])}</header>"
    schemas = document["components"]["schemas"]
    for tag in document["tags"]:
        name = tag["name"]
        yield f'<h2 id="{_anchor(name)}">{escape(name)}</h2>'
        yield paragraphs(tag["description"])
        for method, path, operation in _of_tag(document, name):
            yield from _section(method, path, operation, schemas)
    yield '<h2 id="objects">Objects</h2>'
    for name, schema in schemas.items():
        yield f'<section id="{name}"><h3>{name}</h3>'
        yield paragraphs(schema.get("description", ""))
        yield f"{_fields(schema)}</section>"
    yield '<h2 id="errors">Errors</h2>'
    yield '<p>Every error is an <a href="#Error">Error</a>, with one of these codes.'
    yield " Some routes answer another status with them; it stands there.</p>"
    rows = (
        (f'<code id="code-{code}">{code}</code>', str(meaning.status), meaning.text)
        for code, meaning in sorted(MEANINGS.items())
    )
    yield _table(("Code", "Status", "Means"), ((c, s, inline(t)) for c, s, t in rows))


def _section(
    method: str, path: str, operation: Mapping[str, Any], schemas: Mapping[str, Any]
) -> Iterator[str]:
    anchor = operation["operationId"]
    yield f'<section id="{anchor}"><h3>{escape(operation["summary"])}'
    yield f' <a class="anchor" href="#{anchor}" aria-label="link">#</a></h3>'
    yield f'<p class="route">{_method(method)} <code>{escape(path)}</code>'
    yield f" <small>for {_callers(operation['security'])}</small></p>"
    yield paragraphs(operation.get("description", ""))
    for sample in operation["x-codeSamples"]:
        label = f"<figcaption>{escape(sample['label'])}</figcaption>"
        yield f"<figure>{label}<pre>{escape(sample['source'])}</pre></figure>"
    if operation["parameters"]:
        yield f"<h4>Parameters</h4>{_parameters(operation['parameters'])}"
    for media_type, content in operation.get("requestBody", _NO_BODY)[
        "content"
    ].items():
        schema = schemas[content["schema"]["$ref"].rpartition("/")[2]]
        yield f"<details open><summary>Fields, as <code>{media_type}</code></summary>"
        yield f"{_fields(schema)}</details>"
    yield f"{_answers(operation['responses'])}</section>"


_NO_BODY: Mapping[str, Any] = {"content": {}}


def _callers(security: list[dict[str, Any]]) -> str:
    if not security:
        return "everybody"
    if {"query": []} in security:
        return "a key, in the address too, or a signed address"
    return "everybody; a key narrows it" if {} in security else "a key"


def _parameters(parameters: Iterable[Mapping[str, Any]]) -> str:
    return _table(
        ("Name", "In", "Takes", "Meaning"),
        (
            (
                _name(p["name"], required=p["required"]),
                p["in"],
                _takes(p["schema"]),
                inline(p["description"]),
            )
            for p in parameters
        ),
    )


def _fields(schema: Mapping[str, Any]) -> str:
    required = schema.get("required", ())
    rows = (
        (
            _name(name, required=name in required),
            _takes(field),
            inline(field.get("description", "").partition("\n\n")[0]),
        )
        for name, field in schema.get("properties", {}).items()
    )
    return _table(("Field", "Is", "Meaning"), rows)


def _answers(responses: Mapping[str, Mapping[str, Any]]) -> str:
    good = (
        (f"<code>{status}</code>", _contained(told) + inline(told["description"]))
        for status, told in responses.items()
        if "x-codes" not in told
    )
    refusals = [
        (f"<code>{status}</code>", ", ".join(map(_code, told["x-codes"])))
        for status, told in responses.items()
        if "x-codes" in told
    ]
    statuses = ", ".join(status for status, _ in refusals)
    return (
        f"<h4>Answers</h4>{_table(('Status', 'Means'), good)}"
        f"<details><summary>Errors <small>{statuses}</small></summary>"
        f"{_table(('Status', 'Codes'), refusals)}</details>"
    )


def _code(code: str) -> str:
    return f'<a href="#code-{code}"><code>{code}</code></a>'


def _contained(response: Mapping[str, Any]) -> str:
    contents = response.get("content", {}).items()
    kinds = [
        _content(media_type, content["schema"]) for media_type, content in contents
    ]
    return f"{', '.join(kinds)}: " if kinds else ""


def _content(media_type: str, schema: Mapping[str, Any]) -> str:
    match media_type:
        case "application/json":
            return kind_of(schema)
        case "text/event-stream":
            return f"events of {kind_of(schema['properties']['data'])}"
        case _:
            return f"<code>{media_type}</code>"


def _takes(schema: Mapping[str, Any]) -> str:
    bounds = bounds_of(schema)
    return kind_of(schema) + (f"<br><small>{bounds}</small>" if bounds else "")


def _name(name: str, *, required: bool) -> str:
    star = ' <small class="required">required</small>' if required else ""
    return f"<code>{escape(name)}</code>{star}"


def _method(method: str) -> str:
    return f'<b class="{method.lower()}">{method}</b>'


def _table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    head = "".join(f"<th>{text}" for text in heads)
    body = "".join("<tr>" + "".join(f"<td>{c}" for c in row) for row in rows)
    return f'<div class="wide"><table><tr>{head}{body}</table></div>' if body else ""
