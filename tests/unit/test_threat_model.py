"""The page on threats, held to the repository: what it names is there."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "threat-model.md").read_text()
ROWS = {
    cells[1].partition(" ")[0]: cells
    for line in PAGE.splitlines()
    if len(cells := [cell.strip() for cell in line.split("|")]) == 6
    and re.match(r"T\d+", cells[1])
}
TESTS = {
    name
    for path in (ROOT / "tests").rglob("test_*.py")
    for name in re.findall(
        r"^(?:async )?def (test_\w+)", path.read_text(), re.MULTILINE
    )
}


def test_every_threat_has_its_row():
    assert list(ROWS) == [f"T{number}" for number in range(1, 44)]


def test_every_defense_names_where_it_stands_and_who_attacks_it():
    for name, (_, _, _, defense, attacks, _) in ROWS.items():
        named = re.findall(r"`(test_\w+)`", attacks)

        assert named or "`tests/wire/bad_input/" in attacks or name == "T40", name
        assert not [test for test in named if test not in TESTS], name
        assert re.search(r"`(service|workers|constraints)[/.]|\]\(", defense), name


def test_every_file_it_names_is_there():
    named = re.findall(r"`((?:service|workers|tests)/[\w/.]*|constraints\.txt)`", PAGE)
    links = re.findall(r"\]\(([^)#:]+)\)", PAGE)

    assert len(named) > 30
    assert not [path for path in named if not (ROOT / path).exists()]
    assert not [path for path in links if not (ROOT / "docs" / path).exists()]


def test_what_is_answered_otherwise_has_its_reason():
    record = (ROOT / "docs/adr/0026-threats-answered-otherwise.md").read_text()

    marked = {name for name, cells in ROWS.items() if "◊" in cells[1]}
    reasons = set(re.findall(r"^\* \*\*(T\d+)", record, re.MULTILINE))

    assert marked == reasons
