"""Pages as a reader works through them: top to bottom, pasting block after block.

A fenced block of a language in `PASTED` is run as it stands. One that cannot be says
why in a comment on the line before: `<!-- not run: it buys images -->`.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PASTED = {
    "sh": "{}",
    "bash": "{}",
    "python": "python3 -W error - <<'END-OF-BLOCK'\n{}END-OF-BLOCK\n",
    "js": "node --input-type=module - <<'END-OF-BLOCK'\n{}END-OF-BLOCK\n",
}
"""What runs a block of each language within a shell; other languages are shown."""
_FENCED = re.compile(
    r"(?:^<!-- not run: (?P<reason>.+?) -->\n)?"
    r"^```(?P<language>\w*)\n(?P<code>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Block:
    """One fenced block, and why it is not run; empty: it is."""

    page: str
    line: int
    language: str
    code: str
    reason: str

    @property
    def is_program(self) -> bool:
        """Whether it is there to be pasted, and not only to be read."""
        return self.language in PASTED


def pages() -> list[str]:
    """Return every page there is, by its path in the project."""
    found = [
        *ROOT.glob("*.md"),
        *ROOT.glob("docs/**/*.md"),
        *ROOT.glob("examples/*.md"),
    ]
    return sorted(str(page.relative_to(ROOT)) for page in found)


def blocks(page: str) -> Iterator[Block]:
    """Yield the fenced blocks of a page from top to bottom."""
    text = (ROOT / page).read_text(encoding="utf-8")
    for found in _FENCED.finditer(text):
        line = text.count("\n", 0, found.start("code"))
        reason = found["reason"] or ""
        yield Block(page, line, found["language"], found["code"], reason)


def script(page: str) -> str:
    """Return all that a page has its reader paste, as one program for a shell.

    It stops at the first error; an answer from 400 on is one.
    """
    lines = [
        "set -eo pipefail",
        "trap 'kill $(jobs -p) 2>/dev/null || true' EXIT",
        'curl() { command curl --fail-with-body "$@"; }',
    ]
    for block in blocks(page):
        if block.is_program and not block.reason:
            lines.append(f"echo '{page}:{block.line}' >&2")
            lines.append(PASTED[block.language].format(block.code))
    return "\n".join(lines)
