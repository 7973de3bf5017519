"""The frame keeps its promises: what make refuses, what is pinned, who knows whom."""

import ast
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]

OLD = 'case "$1" in --version) echo Python 3.9.2;; *) exit 1;; esac'
WITHOUT_VENV = """case "$2" in
  *ensurepip*) exit 1;;
  *version_info\\[1\\]*) echo 12;;
esac"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    shutil.copy(ROOT / "Makefile", tmp_path)
    return tmp_path


def refusal(checkout: Path, python: str) -> str:
    """What make says, before its own last line, when `python` is all there is."""
    fake = checkout / "python3"
    fake.write_text(f"#!/bin/sh\n{python}\n")
    fake.chmod(0o755)
    ran = subprocess.run(
        ["make", ".venv/bin/python", f"PYTHON={fake}"],
        cwd=checkout,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode != 0
    assert not (checkout / ".venv").exists()
    return ran.stderr.splitlines()[0].replace(str(fake), "python3")


def test_make_refuses_an_old_python_in_one_sentence(checkout: Path):
    said = refusal(checkout, OLD)

    assert said == (
        "Darkroom needs Python 3.11 or newer, but python3 is Python 3.9.2: "
        "install a newer one, or name it with PYTHON=/path/to/python3."
    )


def test_make_names_the_package_that_brings_venv(checkout: Path):
    said = refusal(checkout, WITHOUT_VENV)

    assert said == (
        "python3 cannot make virtual environments here: install its venv module "
        "(on Debian and Ubuntu: apt install python3.12-venv)."
    )


def test_make_says_so_when_there_is_no_python_at_all(checkout: Path):
    ran = subprocess.run(
        ["make", ".venv/bin/python", "PYTHON=python3-is-not-here"],
        cwd=checkout,
        capture_output=True,
        text=True,
        check=False,
    )

    assert ran.stderr.startswith("Darkroom needs Python 3.11 or newer, and there is")


def pins() -> dict[str, str]:
    """Version by name, of what the constraints say about this machine."""
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pinned = [Requirement(line) for line in lines if not line.startswith("#")]
    return {
        canonicalize_name(pin.name): str(pin.specifier).removeprefix("==")
        for pin in pinned
        if pin.marker is None or pin.marker.evaluate()
    }


def needed(name: str, extras: frozenset[str], seen: set[str]) -> Iterator[str]:
    """Names of all distributions that installing `name` brings here."""
    if name in seen:
        return
    seen.add(name)
    try:
        requirements = distribution(name).requires or []
    except PackageNotFoundError:  # an extra that this environment was made without
        return
    for requirement in map(Requirement, requirements):
        marker = requirement.marker
        wanted = {"", *extras}
        if marker is None or any(marker.evaluate({"extra": e}) for e in wanted):
            found = canonicalize_name(requirement.name)
            yield found
            yield from needed(found, frozenset(requirement.extras), seen)


def test_every_distribution_that_gets_installed_is_pinned():
    everything = set(needed("darkroom", frozenset({"test", "dev"}), set()))

    assert everything - {"pip"} <= pins().keys()  # pip is what installs them


def test_this_environment_is_the_pinned_one():
    installed = {}
    for name in pins():
        try:
            installed[name] = distribution(name).version
        except PackageNotFoundError:
            continue

    assert installed == {name: pins()[name] for name in installed}


def imports(path: Path) -> Iterator[str]:
    """Full names of all that a module imports, wherever the statement stands."""
    for node in ast.walk(ast.parse(path.read_text())):
        match node:
            case ast.Import(names=names):
                yield from (alias.name for alias in names)
            case ast.ImportFrom(module=str(module), names=names):
                yield from (f"{module}.{alias.name}" for alias in names)


def test_the_core_imports_the_standard_library_only():
    foreign = [
        f"{path.name}: {name}"
        for path in (ROOT / "service" / "core").rglob("*.py")
        for name in imports(path)
        if name.split(".")[0] not in sys.stdlib_module_names
        and not name.startswith("service.core.")
    ]

    assert foreign == []


def test_only_the_api_knows_aiohttp_web():
    knowing = {
        path.relative_to(ROOT).parts[:2]
        for room in ("service", "workers")
        for path in (ROOT / room).rglob("*.py")
        if any(name.startswith("aiohttp.web") for name in imports(path))
    }

    assert knowing <= {("service", "api")}


def test_the_procfile_names_modules_that_can_be_run():
    lines = (ROOT / "Procfile").read_text().splitlines()
    modules = [line.split("python -m ")[1] for line in lines]

    assert modules == ["service", "workers"]
    assert all((ROOT / module / "__main__.py").is_file() for module in modules)
