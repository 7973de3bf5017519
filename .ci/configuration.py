"""Write into docs/configuration.md what the settings say of themselves.

Default and bounds come from `service/settings`; what a setting means is for people
to write, in the row's last cell. A setting without a row stops this with its name.

    python .ci/configuration.py            writes the page
    python .ci/configuration.py --check    fails where that would change it
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, get_args, get_origin

from annotated_types import Ge, Gt, Le
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from service.settings import PACKAGED_CATALOG, Settings

PAGE = Path(__file__).parents[1] / "docs" / "configuration.md"
_ROW = re.compile(r"^\| `(DARKROOM_\w+)` \|.*\|([^|]*)\|$", re.MULTILINE)
_WORDS = {bool: "`true`, `false`", list: "JSON list", Path: "path"}


def fields(
    model: type[BaseModel] = Settings, prefix: str = "DARKROOM_"
) -> Iterator[tuple[str, FieldInfo]]:
    """Name and field of every setting there is, sections included."""
    for name, field in model.model_fields.items():
        if isinstance(field.default, BaseModel):
            yield from fields(type(field.default), f"{prefix}{name.upper()}__")
        else:
            yield prefix + name.upper(), field


def default_of(field: FieldInfo) -> str:
    """Show what holds unless it is set."""
    match field.default:
        case None:
            return "none"
        case []:
            return "empty"
        case bool() as value:
            return f"`{str(value).lower()}`"
        case Path() as path if path == PACKAGED_CATALOG:
            return "packaged"
    return f"`{field.default}`"


def values_of(field: FieldInfo) -> str:
    """Show what it may be set to: names, bounds or a kind."""
    kind: Any = field.annotation
    if get_origin(kind) is UnionType:
        [kind] = [one for one in get_args(kind) if one is not NoneType]
    if get_origin(kind) is Literal:
        return ", ".join(f"`{name}`" for name in get_args(kind))
    kind = get_origin(kind) or kind
    if kind in {int, float}:
        return _bounds(field)
    return _WORDS.get(kind, "text")


def _bounds(field: FieldInfo) -> str:
    least = most = ""
    for rule in field.metadata:
        match rule:
            case Ge(ge):
                least = f"{ge}"
            case Gt(gt):
                least = f"over {gt}"
            case Le(le):
                most = f" to {le}"
    if most or least.startswith("over"):
        return f"{least}{most}"
    return f"{least} or more"


def written(page: str) -> str:
    """Return the page with every row as the settings have it.

    Raises:
        SystemExit: A setting has no row, or a row no setting.
    """
    known = dict(fields())
    rows = {row[1] for row in _ROW.finditer(page)}
    if odd := sorted(rows ^ known.keys()):
        raise SystemExit(f"docs/configuration.md and the settings differ: {odd}")

    def row(found: re.Match[str]) -> str:
        name, means = found[1], found[2]
        field = known[name]
        return f"| `{name}` | {default_of(field)} | {values_of(field)} |{means}|"

    head = page.replace("| setting | default | means |\n|---|---|---|", _HEAD)
    return _ROW.sub(row, head)


_HEAD = "| setting | default | takes | means |\n|---|---|---|---|"


def main() -> None:
    """Write the page, or say that it is not as it would be written."""
    page = PAGE.read_text(encoding="utf-8")
    new = written(page)
    if "--check" not in sys.argv:
        PAGE.write_text(new, encoding="utf-8")
    elif new != page:
        raise SystemExit("docs/configuration.md is old: python .ci/configuration.py")


if __name__ == "__main__":
    main()
