"""The five pages, read by code: what they show, and what they say.

Scraping took line breaks, indentation and whatever looked like an e-mail address from
the code on them. `restored_*` put that back; beyond it only hosts, keys and paths of
files are replaced, by `House.at_home`.
"""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

_FOLDER = Path(__file__).parents[1] / "data" / "seeds"
_Test = TypeVar("_Test", bound=Callable[..., Any])


class Page:
    """One page, and which of its words are accounted for."""

    def __init__(self, name: str) -> None:
        self.text = (_FOLDER / f"{name}.txt").read_text(encoding="utf-8")
        self._accounted: list[str] = []
        self._aside: set[str] = set()

    def says(self, *quotes: str) -> Callable[[_Test], _Test]:
        """Mark the test that holds us to these words; they must be on the page."""

        def mark(test: _Test) -> _Test:
            self._account(quotes)
            return test

        return mark

    def sets_aside(self, reason: str, lines: str) -> None:
        """Name whole lines that ask nothing of a server, and why."""
        assert reason
        words = [line.strip() for line in lines.splitlines()]
        assert [line for line in words if line not in self.text] == []
        self._aside.update(words)

    def unsaid(self) -> list[str]:
        """Return the lines of which something is neither quoted, run nor set aside."""
        left = self.text
        shown = [*self._accounted, *self.raw_commands(), *self.links()]
        shown += [text for text, _ in self._json_examples()]
        for words in sorted(shown, key=len, reverse=True):
            left = left.replace(words, "\n")
        lines = (line.strip() for line in left.splitlines())
        return [
            line for line in lines if re.search(r"\w", line) and line not in self._aside
        ]

    def between(self, start: str, end: str) -> str:
        """Return what stands between two lines, and account for it."""
        found = self.text.partition(f"\n{start}\n")[2].partition(f"\n{end}\n")[0]
        self._account([found])
        return found

    def raw_commands(self) -> list[str]:
        """Return the shell commands as they stand on the page."""
        return [
            _command(self.text[found.start() :])
            for found in re.finditer(r"^curl ", self.text, re.MULTILINE)
        ]

    def commands(self) -> list[str]:
        """Return the shell commands, with what scraping took."""
        return [restored_names(command) for command in self.raw_commands()]

    def links(self) -> list[str]:
        """Return the URLs that stand by themselves, in HTML or in Markdown."""
        return re.findall(r"https://[^\s\"')]+", self.text)

    def examples(self) -> list[Any]:
        """Return the JSON documents on the page."""
        return [example for _, example in self._json_examples()]

    def _json_examples(self) -> list[tuple[str, Any]]:
        found, end, decoder = [], 0, json.JSONDecoder()
        for start in re.finditer(r"^\{", self.text, re.MULTILINE):
            if start.start() < end:
                continue  # inside of the one before
            try:
                example, end = decoder.raw_decode(self.text, start.start())
            except json.JSONDecodeError:
                continue
            found.append((self.text[start.start() : end], example))
        return found

    def _account(self, quotes: tuple[str, ...] | list[str]) -> None:
        for quote in quotes:
            assert quote in self.text, f"not on the page: {quote!r}"
        self._accounted.extend(quotes)


def _command(text: str) -> str:
    """Return the shell command that `text` begins with.

    It ends with a line that no backslash continues, or where a quoted word runs into
    a letter: there the page's next sentence was glued to it.
    """
    quote = ""
    for at, sign in enumerate(text):
        before, after = text[at - 1 : at], text[at + 1 : at + 2]
        if quote:
            if sign == quote:
                quote = ""
                if after.isalpha():
                    return text[: at + 1]
        elif sign in "'\"":
            quote = sign
        elif sign == "\n" and before != "\\":
            return text[:at]
    return text


def restored_names(command: str) -> str:
    """Give files their names back, which a mail obfuscator took for addresses."""
    numbers = iter(range(1, 17))

    def name(field: re.Match[str]) -> str:
        stem = "mask" if field[1] == "mask" else f"image{next(numbers)}"
        return f"{field[1]}[]=@{stem}.webp"

    return re.sub(r"(image|mask)\[\]\[email\xa0protected\]", name, command)


def restored_lines(code: str) -> str:
    """Break lines where a statement was glued to the end of another."""
    ended = r"(?<=[\"'})])(?=(?:payload|headers|print|response)\b)"
    return re.sub(ended, "\n", code)


def restored_blocks(code: str) -> str:
    """Indent what follows a `def` or an `if`, up to the next of them."""
    lines = []
    for line in code.splitlines():
        opens = line.startswith(("def ", "if __name__"))
        inside = not opens and any(seen.endswith(":") for seen in lines)
        lines.append(f"    {line}" if inside else line)
    return "\n".join(lines)
