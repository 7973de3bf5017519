"""Requests byte by byte, each with the answer it must get.

Names in braces in the head of a request, such as `{finished}`, stand for what the
house of the test knows by that name; a body is sent as it is.
"""

import tomllib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from json import dumps
from pathlib import Path
from typing import Any, NamedTuple

from tests.fakes.forms import TYPE, Part, form

CATALOGUE = Path(__file__).parents[2] / "data" / "bad_input.toml"
GOOD: dict[str, Any] = {"model": "test/test", "prompt": "a fox"}
EDIT = {"model": "test/test", "prompt": "a hat"}
JOBS, GENERATIONS, EDITS = "/v1/jobs", "/v1/images/generations", "/v1/images/edits"
OPENAI = "/v1/openai/images/generations"
ASYNC = "Prefer: respond-async"
JSON = "Content-Type: application/json"


class Row(NamedTuple):
    """One of the catalogue.

    Attributes:
        what: What is wrong, in words.
        answers: Status and code, and whether the connection closes.
    """

    number: int
    what: str
    answers: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Case:
    """One request.

    Attributes:
        request: All of it; a function of the names where they stand in its body.
        answer: Which of its row's; none where the row has but one.
        param: What the error must name; ...: no matter.
        shows: What stands in the answer, head or body.
        hides: What does not.
        door: At which it is sent, see `house.House`.
    """

    request: bytes | Callable[[dict[str, str]], bytes]
    answer: str | None = None
    param: Any = ...
    shows: tuple[str, ...] = ()
    hides: tuple[str, ...] = ()
    door: str = "usual"


Story = Callable[[Any], Awaitable[None]]
"""What takes more than one request; it is given the house."""
Rows = Mapping[int, Sequence[Case | Story]]


def catalogue() -> list[Row]:
    """Return all rows, in order."""
    sections = tomllib.loads(CATALOGUE.read_text())
    return [
        Row(int(number), what, tuple(answers))
        for rows in sections.values()
        for number, (what, *answers) in rows.items()
    ]


def request(
    method: str,
    target: str,
    *lines: str,
    key: str | None = "{secret}",
    body: bytes | None = None,
) -> bytes:
    """Return a request; one with a body says how long it is."""
    head = [f"{method} {target} HTTP/1.1", "Host: x"]
    if key is not None:
        head.append(f"Authorization: Bearer {key}")
    if body is not None:
        head.append(f"Content-Length: {len(body)}")
    return "\r\n".join((*head, *lines, "", "")).encode() + (body or b"")


def get(target: str, *lines: str, key: str | None = "{secret}") -> bytes:
    return request("GET", target, *lines, key=key)


def post(
    target: str,
    body: bytes | Mapping[str, Any] | None,
    *lines: str,
    key: str | None = "{secret}",
) -> bytes:
    """Return a POST of JSON, be it as an object or as bytes."""
    if isinstance(body, Mapping):
        body = dumps(body).encode()
    return request("POST", target, JSON, *lines, key=key, body=body)


def posted(
    body: bytes | Mapping[str, Any], *lines: str, key: str | None = "{secret}"
) -> bytes:
    """Return a POST of JSON for a new job."""
    return post(JOBS, body, *lines, key=key)


def with_fields(**change: Any) -> dict[str, Any]:
    """Return a good request with other fields; ... leaves one out."""
    return {k: v for k, v in {**GOOD, **change}.items() if v is not ...}


def uploaded(body: bytes, *lines: str, route: str = EDITS, kind: str = TYPE) -> bytes:
    """Return a POST of a form that waits for no image."""
    return request(
        "POST", route, ASYNC, f"Content-Type: {kind}", *lines, key="{secret}", body=body
    )


def edit(*parts: Part, end: bytes = b"--\r\n", **fields: str) -> bytes:
    """Return the form of an edit."""
    return form(*parts, end=end, **{**EDIT, **fields})


def everywhere(body: bytes | Mapping[str, Any], **case: Any) -> list[Case]:
    """Return cases for both routes that make images from JSON."""
    return [Case(request=post(route, body), **case) for route in (JOBS, GENERATIONS)]


def each(*cases: Sequence[Case]) -> list[Case]:
    """Return all of several lists."""
    return [case for some in cases for case in some]
