"""How ImageRouter's pages ask: as JSON or as a form, at either of two addresses."""

from typing import Any

import httpx

from tests.conformance.house import SECRET, House

GENERATIONS = "/v1/openai/images/generations"
EDITS = "/v1/openai/images/edits"
SMALL = {"model": "test/test", "prompt": "a lighthouse", "size": "64x64"}


def as_json(
    house: House,
    path: str = GENERATIONS,
    *,
    secret: str | None = SECRET,
    **fields: Any,
) -> httpx.Response:
    """Ask for a small image unless `fields` say otherwise; None is unsaid."""
    return house.ask("POST", path, json=SMALL | fields, secret=secret)


def as_form(
    house: House, *files: tuple[str, str], path: str = EDITS, **fields: str | None
) -> httpx.Response:
    """Ask by multipart; files are a field and the name of a picture in the house."""
    said = {
        name: value for name, value in (SMALL | fields).items() if value is not None
    }
    # Fields as nameless files: without a file httpx would send no multipart.
    parts: list[Any] = [(name, (None, value)) for name, value in said.items()]
    parts += [(field, (n, (house.here / n).read_bytes())) for field, n in files]
    return house.ask("POST", path, files=parts)
