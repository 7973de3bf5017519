"""`make check` looks pins up, and says so when that told nothing."""

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

PROGRAM = Path(__file__).parents[2] / ".ci" / "audit.py"
HOLE = {"id": "PYSEC-2022-10", "fix_versions": ["9.0.1"]}


@pytest.fixture
def program() -> ModuleType:
    spec = importlib.util.spec_from_file_location("audit", PROGRAM)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Index:
    """Knows packages and their holes, as pip-audit tells of them."""

    def __init__(self, **holes: list[dict[str, Any]]) -> None:
        self._holes = holes

    def __call__(self, requirements: str) -> list[dict[str, Any]]:
        return [self._told(*line.split("==")) for line in requirements.splitlines()]

    def _told(self, name: str, version: str) -> dict[str, Any]:
        if name not in self._holes:
            return {"name": name, "skip_reason": "not found"}
        return {"name": name, "version": version, "vulns": self._holes[name]}


def test_a_pin_with_a_hole_fails_the_check_and_is_named(program):
    index = Index(pillow=[HOLE], arq=[], redis=[HOLE])

    code, said = program.audit("arq==1\nredis==5\n", index)

    assert code == 1
    assert said == ["redis==5 has PYSEC-2022-10, mended in 9.0.1"]


def test_pins_without_holes_pass_in_silence(program):
    index = Index(pillow=[HOLE], arq=[])

    assert program.audit("arq==1\n", index) == (0, [])


def test_a_pin_that_nobody_knows_is_named_and_fails_nothing(program):
    index = Index(pillow=[HOLE], arq=[])

    code, [said] = program.audit("arq==1\nours==2\n", index)

    assert code == 0
    assert said.endswith("NOT AUDITED, since unknown there: ours")


@pytest.mark.parametrize("index", [Index(), Index(pillow=[], arq=[])])
def test_an_index_without_advisories_is_not_believed(program, index):
    code, [said] = program.audit("arq==1\n", index)

    assert code == 0
    assert "NOT AUDITED" in said


def test_nobody_there_fails_nothing_and_is_said(program):
    def nobody(requirements: str) -> list[dict[str, Any]]:
        raise program.NotAnswered("no route to host")

    code, [said] = program.audit("arq==1\n", nobody)

    assert code == 0
    assert said.endswith("NOT AUDITED: no route to host")
