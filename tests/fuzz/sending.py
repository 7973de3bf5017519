"""Forms as they are sent, with files behind names: random bytes are never images."""

from base64 import b64encode
from io import BytesIO
from typing import Any

from PIL import Image

from tests.fakes.pictures import draw


def _mask() -> bytes:
    file = BytesIO()
    Image.new("RGBA", (16, 16), (0, 0, 0, 0)).save(file, "PNG")
    return file.getvalue()


FILES = {
    "@small": draw("small", width=16, height=16),
    "@photo": draw("photo", width=24, height=16, image_format="jpeg"),
    "@mask": _mask(),
    "@half": draw("half", width=16, height=16)[:60],
    "@empty": b"",
    "@text": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
}
"""What a file holds, by the name that stands for it."""

LINKS = tuple(
    f"data:image/png;base64,{b64encode(data).decode()}" for data in FILES.values()
)
"""The same files as links; nobody is to be fetched from out there."""


def parts_of(fields: dict[str, Any]) -> list[tuple[str, Any]]:
    """Return the parts of a form, as requests takes them."""
    return [
        (name, _part(one))
        for name, value in fields.items()
        for one in (value if isinstance(value, list) else [value])
    ]


def _part(value: Any) -> tuple[str | None, Any]:
    if isinstance(value, str) and value in FILES:
        return (f"{value[1:]}.png", FILES[value])
    if isinstance(value, bool):
        return (None, str(value).lower())
    return (None, str(value).encode(errors="replace"))
