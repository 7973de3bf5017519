"""docs/errors.md lists every code that clients can meet, with its status."""

import ast
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from service.api.problems import problem_of, problem_of_job
from service.core import errors
from service.core.jobs import Job, JobState, new_job_id
from service.core.requests import GenerationRequest, Priority

ROOT = Path(__file__).parents[2]
JOB = Job(
    id=new_job_id(),
    account="a",
    key_id="key_1",
    priority=Priority.NORMAL,
    state=JobState.FAILED,
    request=GenerationRequest(model="test/test", prompt="p"),
    created_at=datetime.now(UTC),
)
CLASSES = {
    name: kind
    for name, kind in vars(errors).items()
    if isinstance(kind, type) and issubclass(kind, errors.ServiceError)
}


def listed(heading: str) -> dict[str, int]:
    """Status by code, of one table of the page."""
    page = (ROOT / "docs" / "errors.md").read_text()
    section = page.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \| (\d{3}) \|", section, re.MULTILINE)
    assert len(dict(rows)) == len(rows)
    return {code: int(status) for code, status in rows}


def on_the_page() -> set[str]:
    page = (ROOT / "docs" / "errors.md").read_text()
    return set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE))


def of_lines() -> set[str]:
    """Codes that no request is refused with, only a line of a batch."""
    page = (ROOT / "docs" / "errors.md").read_text()
    section = page.split("\n## What became of a line of a batch\n")[1].split("\n## ")[0]
    return set(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE))


def sources() -> Iterator[ast.AST]:
    for room in ("service", "workers"):
        for path in (ROOT / room).rglob("*.py"):
            # One only tells of what others raise, the other is not the service.
            if not {"openapi", "client"} & set(path.parts):
                yield from ast.walk(ast.parse(path.read_text()))


def texts(*nodes: ast.expr) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def codes(node: ast.AST) -> Iterator[str]:
    """Codes that stand in a piece of source, in any of the ways we write them."""
    match node:
        case ast.keyword(arg="code" | "error_code", value=value):
            yield from texts(value)
        case ast.Dict(keys=keys, values=values):
            named = [v for k, v in zip(keys, values, strict=True) if k is not None]
            for key, value in zip(filter(None, keys), named, strict=True):
                if list(texts(key)) == ["code"]:
                    yield from texts(value)
        case ast.Assign(targets=[ast.Name(id="code")], value=value):
            yield from texts(value)
        case ast.Assign(targets=[ast.Tuple(elts=[ast.Name(id="code"), *_])]) if (
            isinstance(node.value, ast.Tuple)
        ):
            yield from texts(node.value.elts[0])
        case (
            ast.Assign(targets=[ast.Name(id=name)], value=ast.Dict(values=values))
            | ast.AnnAssign(target=ast.Name(id=name), value=ast.Dict(values=values))
        ) if name.endswith("_CODES"):
            yield from texts(*values)
        case ast.AnnAssign(target=ast.Name(id="code"), value=ast.Constant() as value):
            yield from texts(value)
        case ast.Call(func=ast.Attribute(attr="get", value=ast.Name(id=name))) if (
            name.endswith("_CODES")
        ):
            yield from texts(node.args[1])


def in_scripts() -> set[str]:
    scripts = (ROOT / "service" / "job_store" / "scripts").glob("*.lua")
    found = (re.findall(r'"code":"(\w+)"', path.read_text()) for path in scripts)
    return {code for codes in found for code in codes}


def test_the_page_lists_every_code_there_is():
    in_python = {code for node in sources() for code in codes(node)}

    assert in_python | in_scripts() <= on_the_page()


def test_the_page_lists_no_code_that_is_gone():
    written = {
        node.value
        for node in sources()
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }

    assert on_the_page() <= written | in_scripts()


def raised() -> Iterator[tuple[str, errors.ServiceError]]:
    """An error of each class a route answers, and of each code raised with one."""
    for kind in CLASSES.values():
        yield kind.code, made(kind, kind.code)
    for node in sources():
        match node:
            case ast.Call(func=ast.Name(id=name), keywords=words) if name in CLASSES:
                for word in words:
                    if word.arg == "code":
                        for code in texts(word.value):
                            yield code, made(CLASSES[name], code)


def made(kind: type[errors.ServiceError], code: str) -> errors.ServiceError:
    """An error of that class, without going through its constructor."""
    error = kind.__new__(kind, code)
    error.code, error.param = code, None
    error.retry_after = timedelta(seconds=1)
    return error


def test_a_refused_request_gets_the_status_on_the_page():
    refused = listed("Refused requests")
    told = {
        code: problem.status
        for code, error in raised()
        if (problem := problem_of(error)) is not None and code not in of_lines()
    }

    assert {code: refused.get(code) for code in told} == told


def test_a_failed_job_gets_the_status_on_the_page():
    failed = listed("What a job failed with")
    ends = {"canceled", "expired", "still_running"}
    told = {
        code: problem_of_job(replace(JOB, error={"code": code, "message": ""})).status
        for code in failed.keys() - ends
    }

    assert {code: failed[code] for code in told} == told
