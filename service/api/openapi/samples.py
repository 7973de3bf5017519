"""Command lines for curl that call a route, ready to be pasted.

`$URL` and `$KEY` stand for what differs from reader to reader; so does the name of a
part of the path that has no example, in capitals.
"""

import re
import shlex
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

import orjson

from service.api.openapi.operation import JSON, Access, Operation

_BREAK = " \\\n  "
_LINE, _INDENTED = "\n", "\n  "


def samples_of(operation: Operation) -> dict[str, str]:
    """Return command lines by what they show; empty text: the plain call."""
    if operation.curl:
        return dict(operation.curl)
    call = _call(operation)
    if operation.body is None:
        return {"": call}
    samples = {
        shows: _BREAK.join([call, *_json(value)])
        for shows, value in operation.body.examples.items()
    }
    for shows, fields in operation.body.form_examples.items():
        samples[shows] = _BREAK.join([call, *_form(fields)])
    return samples


def _call(operation: Operation) -> str:
    method = "" if operation.method in {"GET", "POST"} else f"-X {operation.method} "
    if operation.method == "POST" and operation.body is None:
        method = "-X POST "
    call = f'curl {method}"$URL{_target(operation)}"'
    if operation.access in {Access.KEY, Access.URL}:
        call = _BREAK.join([call, '-H "Authorization: Bearer $KEY"'])
    return call


def _target(operation: Operation) -> str:
    examples = {p.name: p.example for p in operation.parameters}

    def filled(match: re.Match[str]) -> str:
        example = examples.get(match[1])
        return f"${match[1].upper()}" if example is None else str(example)

    path = re.sub(r"\{(\w+)\}", filled, operation.path)
    query = [
        f"{p.name}={quote(str(p.example), safe='/:,')}"
        for p in operation.parameters
        if p.where == "query" and p.example is not None
    ]
    return path + ("?" + "&".join(query) if query else "")


def _json(value: Any) -> Iterator[str]:
    yield f'-H "Content-Type: {JSON}"'
    text = orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()
    yield f"-d {shlex.quote(text.replace(_LINE, _INDENTED))}"


def _form(fields: Mapping[str, str]) -> Iterator[str]:
    for name, value in fields.items():
        yield f"-F {shlex.quote(f'{name}={value}')}"
