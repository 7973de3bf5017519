"""The little Markdown that descriptions are written in, as HTML."""

import re
from html import escape

_CODE = re.compile(r"`([^`]+)`")


def inline(text: str) -> str:
    """Return a sentence; what stands between backticks is code."""
    return _CODE.sub(r"<code>\1</code>", escape(text, quote=False))


def paragraphs(text: str) -> str:
    """Return paragraphs, lists of lines that begin with a star, and indented code."""
    return "".join(_paragraph(part) for part in text.split("\n\n") if part.strip())


def _paragraph(part: str) -> str:
    if part.startswith("    "):
        code = "\n".join(line.removeprefix("    ") for line in part.split("\n"))
        return f"<pre>{escape(code)}</pre>"
    if part.startswith("* "):
        items = part.removeprefix("* ").split("\n* ")
        return "<ul>" + "".join(f"<li>{inline(item)}" for item in items) + "</ul>"
    return f"<p>{inline(part)}</p>"
