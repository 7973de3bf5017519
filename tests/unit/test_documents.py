"""The documents are true: what they name exists, and what exists they name."""

import importlib.util
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from typer.core import TyperGroup
from typer.main import get_command

from service.cli.app import app
from service.core.catalog import parse_catalog

ROOT = Path(__file__).parents[2]
DOCUMENTS = [
    ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")
] + sorted([*ROOT.glob("docs/**/*.md"), ROOT / "examples/README.md", ROOT / "llms.txt"])

PROGRAM = ROOT / ".ci" / "configuration.py"

each_document = pytest.mark.parametrize(
    "document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT))
)


@pytest.fixture(scope="module")
def program() -> ModuleType:
    """What writes the page of settings."""
    spec = importlib.util.spec_from_file_location("configuration", PROGRAM)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def code(document: Path) -> Iterator[str]:
    """Every line of a code block, and every piece of code within a sentence."""
    fenced = False
    for line in document.read_text().splitlines():
        if line.startswith("```"):
            fenced = not fenced
        elif fenced or line.startswith("    "):
            yield line.strip()
        else:
            yield from re.findall(r"`([^`]+)`", line)


def anchors(document: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", document.read_text(), re.MULTILINE)
    return {re.sub(r"[^a-z0-9 -]", "", h.lower()).replace(" ", "-") for h in headings}


@each_document
def test_every_relative_link_leads_somewhere(document: Path):
    links = re.findall(r"\]\((?!https?:)([^)#]*)#?([^)]*)\)", document.read_text())
    targets = [(document.parent / path if path else document, at) for path, at in links]

    dead = [str(path) for path, _ in targets if not path.exists()]
    lost = [at for path, at in targets if at and at not in anchors(path)]

    assert (dead, lost) == ([], [])


@each_document
def test_every_make_target_exists(document: Path):
    made = set(
        re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    )
    named = {t for text in code(document) for t in re.findall(r"^make ([a-z-]+)", text)}

    assert named <= made


def unknown(words: list[str]) -> list[str]:
    """What `darkroom WORDS` names that there is not, a command or an option."""
    command = get_command(app)
    for at, word in enumerate(words):
        if not isinstance(command, TyperGroup):
            options = {opt for param in command.params for opt in param.opts}
            given = {word for word in words[at:] if word.startswith("--")}
            return sorted(given - options - {"--help"})
        if word not in command.commands:
            return [word]
        command = command.commands[word]
    return []


@each_document
def test_every_command_exists_with_its_options(document: Path):
    commands = [
        c for text in code(document) for c in re.findall(r"^darkroom (.+)", text)
    ]

    assert [(c, no) for c in commands if (no := unknown(shlex.split(c)))] == []


@each_document
def test_every_catalog_that_is_shown_can_be_read(document: Path):
    shown = re.findall(r"```toml\n(.*?)```", document.read_text(), re.DOTALL)

    assert all(parse_catalog(text, file="catalog.toml").models for text in shown)


@each_document
def test_every_path_in_the_project_exists(document: Path):
    room = re.compile(r"(?:service|workers|tests|infra|docs|\.ci)/[\w./-]+")
    named = {m.rstrip("./") for text in code(document) for m in room.findall(text)}

    assert [path for path in sorted(named) if not (ROOT / path).exists()] == []


@each_document
def test_every_setting_that_is_named_exists(document: Path, program: ModuleType):
    named = set(re.findall(r"DARKROOM_[A-Z_]+[A-Z]", document.read_text()))
    known = {"DARKROOM_URL", "DARKROOM_API_KEY"} | {
        name for name, _ in program.fields()
    }

    assert named <= known | {f"{name}_FILE" for name in known}


def test_the_configuration_page_says_what_the_settings_say(program: ModuleType):
    page = program.PAGE.read_text()

    assert page == program.written(page)


def test_every_alert_has_a_recipe():
    alerts = (ROOT / "infra" / "prometheus" / "alerts.yml").read_text()
    recipes = (ROOT / "docs" / "operations.md").read_text()

    names = re.findall(r"- alert: (\w+)", alerts)
    assert names
    assert [name for name in names if f"`{name}`" not in recipes] == []


def decisions() -> list[Path]:
    return sorted((ROOT / "docs" / "adr").glob("*.md"))


def test_decisions_are_numbered_without_a_gap():
    numbers = [int(path.name[:4]) for path in decisions()]

    assert numbers == list(range(1, len(numbers) + 1))


@pytest.mark.parametrize("decision", decisions(), ids=lambda path: path.stem)
def test_a_decision_has_its_five_parts_on_one_page(decision: Path):
    text = decision.read_text()

    assert text.startswith(f"# {decision.name[:4]} ")
    parts = ["Context", "Decision", "Refused", "Consequences", "Revisit when"]
    assert re.findall(rf"^({'|'.join(parts)}):", text, re.MULTILINE) == parts
    assert len(text.splitlines()) <= 60
