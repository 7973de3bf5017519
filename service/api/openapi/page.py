"""The document as a page for people: no script, nothing from elsewhere.

It is made from the document alone, so that the two cannot differ.
"""

from collections.abc import Iterable, Iterator, Mapping
from html import escape
from pathlib import Path
from typing import Any

from service.api.openapi.codes import MEANINGS
from service.api.openapi.prose import inline, paragraphs
from service.api.openapi.tabular import answers, fields, parameters, table

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
    bodies = set(_bodies(document))
    for name, schema in schemas.items():
        if name not in bodies:  # they stand with their routes
            yield f'<section id="{name}"><h3>{name}</h3>'
            yield paragraphs(schema.get("description", ""))
            yield f"{fields(schema, of_body=False)}</section>"
    yield '<h2 id="errors">Errors</h2>'
    yield '<p>Every error is an <a href="#Error">Error</a>, with one of these codes.'
    yield " Some routes answer another status with them; it stands there.</p>"
    rows = (
        (f'<code id="code-{code}">{code}</code>', str(meaning.status), meaning.text)
        for code, meaning in sorted(MEANINGS.items())
    )
    yield table(("Code", "Status", "Means"), ((c, s, inline(t)) for c, s, t in rows))


def _bodies(document: Mapping[str, Any]) -> Iterator[str]:
    """Yield the name of the schema of each request body."""
    for _, _, operation in _operations(document):
        for content in operation.get("requestBody", _NO_BODY)["content"].values():
            yield _named(content["schema"])


def _named(schema: Mapping[str, str]) -> str:
    return schema["$ref"].rpartition("/")[2]


def _section(
    method: str, path: str, operation: Mapping[str, Any], schemas: Mapping[str, Any]
) -> Iterator[str]:
    anchor = operation["operationId"]
    yield f'<section id="{anchor}"><h3>{escape(operation["summary"])}'
    yield f' <a class="anchor" href="#{anchor}" aria-label="link">#</a></h3>'
    yield f'<p class="route">{_method(method)} <code>{escape(path)}</code>'
    yield f" <small>for {_callers(operation['security'])}</small></p>"
    yield paragraphs(operation.get("description", ""))
    yield from _samples(operation["x-codeSamples"])
    if operation["parameters"]:
        yield f"<h4>Parameters</h4>{parameters(operation['parameters'])}"
    taken = operation.get("requestBody", _NO_BODY)["content"].items()
    for media_type, content in taken:
        schema = schemas[_named(content["schema"])]
        opened = " open" if media_type == "application/json" else ""
        yield f"<details{opened}><summary>Fields, as <code>{media_type}</code>"
        yield f"</summary>{fields(schema, of_body=True)}</details>"
    yield f"{answers(operation['responses'])}</section>"


def _samples(samples: Iterable[Mapping[str, str]]) -> Iterator[str]:
    """Show the first command line, and the others to whoever opens them."""
    for number, sample in enumerate(samples):
        opened = "" if number else " open"
        yield f"<details{opened}><summary>{escape(sample['label'])}</summary>"
        yield f"<pre>{escape(sample['source'])}</pre></details>"


_NO_BODY: Mapping[str, Any] = {"content": {}}


def _callers(security: list[dict[str, Any]]) -> str:
    if not security:
        return "everybody"
    if {"query": []} in security:
        return "whoever has a key, in the address too, or a signed address"
    return "everybody; a key narrows it" if {} in security else "whoever has a key"


def _method(method: str) -> str:
    return f'<b class="{method.lower()}">{method}</b>'
