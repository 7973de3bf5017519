"""The tables of the page: parameters, fields and answers."""

from collections.abc import Iterable, Iterator, Mapping
from html import escape
from typing import Any

from service.api.openapi.kinds import bounds_of, kind_of
from service.api.openapi.prose import inline
from service.api.openapi.samples import pretty

_MARKS = {True: "required", False: "optional"}


def parameters(told: Iterable[Mapping[str, Any]]) -> str:
    """Return what a call may carry beside its body."""
    return table(
        ("Name", "In", "Takes", "Meaning"),
        (
            (
                _name(p["name"], mark=_MARKS[True] if p["required"] else ""),
                p["in"],
                _takes(p["schema"]),
                inline(p["description"]),
            )
            for p in told
        ),
    )


def fields(schema: Mapping[str, Any], *, of_body: bool) -> str:
    """Return the fields; marked is what a body needs, or what an object may lack."""
    required = schema.get("required", ())
    rows = (
        (
            _name(name, mark=_MARKS[of_body] if (name in required) is of_body else ""),
            _takes(field) + ("" if of_body or not _may_be_null(field) else " or null"),
            inline(field.get("description", "").partition("\n\n")[0]),
        )
        for name, field in schema.get("properties", {}).items()
    )
    return table(("Field", "Is", "Meaning"), rows)


def _may_be_null(schema: Mapping[str, Any]) -> bool:
    kinds = schema.get("type")
    if isinstance(kinds, list):
        return "null" in kinds
    return {"type": "null"} in schema.get("anyOf", ())


def answers(responses: Mapping[str, Mapping[str, Any]]) -> str:
    """Return what comes back; errors show to whoever opens them."""
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
        f"<h4>Answers</h4>{table(('Status', 'Means'), good)}"
        f"{''.join(_shown(responses))}"
        f"<details><summary>Errors <small>{statuses}</small></summary>"
        f"{table(('Status', 'Codes'), refusals)}</details>"
    )


def _shown(responses: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Show what answers look like, where the document has an example."""
    for status, told in responses.items():
        example = told.get("content", {}).get("application/json", {}).get("example")
        if example is not None:
            yield f"<details><summary>A {status}, for example</summary>"
            yield f"<pre>{escape(pretty(example))}</pre></details>"


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


def _name(name: str, *, mark: str = "") -> str:
    shown = f' <small class="{mark}">{mark}</small>' if mark else ""
    return f"<code>{escape(name)}</code>{shown}"


def table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a table; cells are HTML. Nothing, where there are no rows."""
    head = "".join(f"<th>{text}" for text in heads)
    body = "".join("<tr>" + "".join(f"<td>{c}" for c in row) for row in rows)
    return f'<div class="wide"><table><tr>{head}{body}</table></div>' if body else ""
