"""Reads prompts from plain lines, TSV, CSV or JSONL, byte by byte as they stand there.

Spaces around a prompt belong to it. TSV has no quoting: its quotes are part of the
text. A line that cannot be used is returned with what is wrong, never left out.
"""

import codecs
import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from service.core.errors import InvalidRequest


class Shape(StrEnum):
    """How prompts stand in a file."""

    LINES = "lines"
    TSV = "tsv"
    CSV = "csv"
    JSONL = "jsonl"


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One prompt.

    Attributes:
        number: Where it begins in the file; the first line is 1.
        fields: Further fields of the request, from a JSON object.
        problem: Why it cannot be submitted; None: it can.
    """

    number: int
    prompt: str
    fields: Mapping[str, Any] = field(default_factory=dict)
    problem: str | None = None


def shape_of(name: str) -> Shape:
    """Tell the shape from a file's name; plain lines if it says nothing."""
    suffix = name.lower().rpartition(".")[2]
    return {
        "tsv": Shape.TSV,
        "tab": Shape.TSV,
        "csv": Shape.CSV,
        "jsonl": Shape.JSONL,
        "ndjson": Shape.JSONL,
    }.get(suffix, Shape.LINES)


def read_prompts(content: bytes, shape: Shape) -> list[Line]:
    """Return every prompt, in order; blank lines are none.

    Raises:
        InvalidRequest: The content as a whole is not what it should be.
    """
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise InvalidRequest(
            "the file is UTF-16: save it as UTF-8", code="invalid_encoding"
        )
    # What is not UTF-8 survives as lone surrogates, to be reported with its line.
    text = content.removeprefix(codecs.BOM_UTF8).decode(errors="surrogateescape")
    return [_checked(line) for line in _READERS[shape](text)]


def _plain(text: str) -> Iterator[tuple[int, str]]:
    # splitlines() would also split at U+2028 and its like.
    for number, line in enumerate(text.split("\n"), start=1):
        stripped = line.removesuffix("\r")
        if stripped.strip():
            yield number, stripped


def _lines(text: str) -> Iterator[Line]:
    for number, line in _plain(text):
        yield Line(number=number, prompt=line)


def _tsv(text: str) -> Iterator[Line]:
    return _columns((number, line.split("\t")) for number, line in _plain(text))


def _csv(text: str) -> Iterator[Line]:
    return _columns(_csv_rows(text))


def _csv_rows(text: str) -> Iterator[tuple[int, list[str]]]:
    rows, start = csv.reader(io.StringIO(text, newline=""), strict=True), 1
    try:
        for row in rows:
            if any(cell.strip() for cell in row):
                yield start, row
            start = rows.line_num + 1
    except csv.Error as exc:  # which prompts the rest holds, nobody can tell
        raise InvalidRequest(f"line {start} is not valid CSV: {exc}") from exc


def _columns(rows: Iterator[tuple[int, list[str]]]) -> Iterator[Line]:
    column = 0
    for index, (number, row) in enumerate(rows):
        names = [cell.strip().lower() for cell in row]
        if index == 0 and "prompt" in names:
            column = names.index("prompt")
            _refuse_fields(names)
        elif column < len(row):
            yield Line(number=number, prompt=row[column])
        else:
            yield Line(number=number, prompt="", problem="it has no prompt column")


def _refuse_fields(names: Sequence[str]) -> None:
    """A column that looks like a wish must not be passed over: it may cost money."""
    wishes = [name for name in names if name in _FIELDS]
    if wishes:
        raise InvalidRequest(
            f"column {wishes[0]}: only prompts are read from CSV and TSV; give it as "
            "an option for all of them, or write JSONL",
            code="unsupported_field",
        )


def _jsonl(text: str) -> Iterator[Line]:
    for number, line in _plain(text):
        try:
            value = json.loads(line)
        except ValueError as exc:
            yield Line(number=number, prompt=line, problem=f"it is not JSON: {exc}")
            continue
        except RecursionError:
            yield Line(number=number, prompt=line, problem=_TOO_DEEP)
            continue
        match value:
            case str():
                yield Line(number=number, prompt=value)
            case {"prompt": str(prompt)}:
                fields = {k: v for k, v in value.items() if k != "prompt"}
                yield Line(number=number, prompt=prompt, fields=fields)
            case _:
                wanted = "it is neither a string nor an object with a `prompt`"
                yield Line(number=number, prompt=line, problem=wanted)


def _checked(line: Line) -> Line:
    problem = line.problem
    try:
        line.prompt.encode()
        json.dumps(line.fields, ensure_ascii=False, allow_nan=False).encode()
    except UnicodeEncodeError:
        problem = "it is not valid UTF-8"
    except ValueError:
        problem = "it holds a number that is none"
    except RecursionError:
        problem = _TOO_DEEP
    if problem is None and not line.prompt.strip():
        problem = "its prompt is empty"
    if problem is None:
        return line
    shown = line.prompt.encode(errors="replace").decode()
    return Line(number=line.number, prompt=shown, problem=problem)


_TOO_DEEP = "it is nested too deep"

_FIELDS = frozenset(
    {
        "background",
        "model",
        "n",
        "negative_prompt",
        "output_format",
        "quality",
        "seed",
        "size",
        "style",
    }
)

_READERS: Mapping[Shape, Callable[[str], Iterator[Line]]] = {
    Shape.LINES: _lines,
    Shape.TSV: _tsv,
    Shape.CSV: _csv,
    Shape.JSONL: _jsonl,
}
