"""Rows 75 to 90, 99 and 100: forms, part by part."""

from typing import Any

from PIL import Image

from tests.fakes.forms import TYPE, Part, picture
from tests.fakes.images import encoded, noise
from tests.wire.bad_input.cases import (
    ASYNC,
    EDIT,
    EDITS,
    JOBS,
    Case,
    Rows,
    edit,
    post,
    posted,
    request,
    uploaded,
)
from tests.wire.bad_input.references import data_url

MIB = 1 << 20
PNG = encoded(noise(64, 48), "PNG")
HOLE = encoded(Image.new("RGBA", (64, 48)), "PNG")
IMAGE, MASK = picture("image", PNG), picture("mask", HOLE)
MANY = b"".join(Part(f"a{i}", "x").encoded() for i in range(5000))
BAD_NAMES = ("../../etc/passwd", "a\0b.png", "x" * 5000, "\u202egnp.exe", "", "C:\\a;")


def both(body: bytes, *lines: str, **case: Any) -> list[Case]:
    """Return cases for both routes that take forms."""
    return [
        Case(request=uploaded(body, *lines, route=route), **case)
        for route in (EDITS, JOBS)
    ]


def typed(kind: str, **case: Any) -> Case:
    return Case(request=uploaded(edit(IMAGE), kind=kind), **case)


def json_edit(param: str, **fields: object) -> list[Case]:
    """Return cases for both routes that take images in JSON."""
    wanted = {**EDIT, **fields}
    return [
        Case(request=post(EDITS, wanted, ASYNC), param=param),
        Case(request=posted(wanted), param=param),
    ]


def masked(mask: bytes) -> list[Case]:
    return both(edit(IMAGE, picture("mask", mask)), param="mask")


def part(*more: str, kind: str | None = None) -> list[Case]:
    """Return cases whose image has these headers more."""
    return both(edit(Part("image", PNG, "x", kind, more)))


def padded(size: int) -> bytes:
    return PNG + bytes(size - len(PNG))


def form_of(size: int) -> bytes:
    """A form of so many bytes, in four files."""
    three = [picture("image[]", padded(20 * MIB))] * 3
    rest = size - len(edit(*three, picture("image[]", b"")))
    return edit(*three, picture("image[]", padded(rest)))


def begun(length: int | None, sent: bytes, **case: Any) -> Case:
    """Return a form that has only begun, at the door that waits for little."""
    told = (
        "Transfer-Encoding: chunked" if length is None else f"Content-Length: {length}"
    )
    if length is None:
        sent = b"%x\r\n" % len(sent) + sent + b"\r\n"
    head = request("POST", EDITS, f"Content-Type: {TYPE}", told)
    return Case(request=head + sent, door="hasty", **case)


ROWS: Rows = {
    75: [
        typed("text/plain"),
        typed("multipart/mixed; boundary=x"),
        typed("application/x-www-form-urlencoded"),
        Case(request=request("POST", EDITS, body=edit(IMAGE))),
    ],
    76: [
        typed("multipart/form-data"),
        typed(f"multipart/form-data; boundary={'x' * 71}"),
        typed("multipart/form-data; boundary=another"),
        Case(request=uploaded(b"")),
    ],
    77: [
        *both(edit(IMAGE, end=b"")),
        *both(edit(IMAGE)[: len(PNG) // 2]),
        *both(b""),
    ],
    78: part(kind="multipart/mixed; boundary=y"),
    79: [
        Case(request=uploaded(edit()), param="image"),
        Case(request=post(EDITS, EDIT), param="image"),
        Case(request=posted({**EDIT, "operation": "edit"}), param="image"),
    ],
    80: [
        *both(edit(*[picture("image[]", PNG)] * 17), param="image"),
        *json_edit("images", images=[data_url(PNG)] * 17),
    ],
    81: [
        *both(edit(IMAGE, MASK, MASK), param="mask"),
        *both(edit(IMAGE, MASK, picture("mask[]", HOLE)), param="mask"),
        *json_edit("mask", image=data_url(PNG), mask=[data_url(HOLE)] * 2),
    ],
    82: [
        *both(edit(MASK), param="image"),
        *json_edit("image", mask=data_url(HOLE)),
        *json_edit("image", mask="https://example.com/a.png"),
    ],
    83: masked(encoded(Image.new("RGBA", (64, 49)), "PNG")),
    84: [
        *masked(encoded(noise(64, 48), "PNG")),
        *masked(encoded(noise(64, 48), "JPEG")),
        *masked(encoded(noise(64, 48), "BMP")),
    ],
    85: [
        *both(edit(IMAGE, picture("image", b"")), param="image[1]"),
        *json_edit("image", image=data_url(b"")),
    ],
    86: [
        Case(
            request=uploaded(edit(picture("image", padded(20 * MIB + 1)))),
            answer="413 file_too_large closes",
        ),
        Case(
            request=post(EDITS, {**EDIT, "image": data_url(padded(20 * MIB + 1))}),
            answer="413 file_too_large closes",
        ),
        Case(
            request=uploaded(form_of(64 * MIB + 1)),
            answer="413 body_too_large closes",
        ),
        begun(70 * MIB, b"--", answer="413 body_too_large closes"),
    ],
    87: [
        *both(edit(*(Part(f"a{i}", "x") for i in range(63)))),
        begun(60 * MIB, MANY),
        begun(None, MANY),
    ],
    88: [
        *part(f"A: {'x' * 9 * 1024}"),
        *part(*(f"A{i}: b" for i in range(200))),
        begun(60 * MIB, edit(Part("image", PNG, more=("x" * 9000,)))),
    ],
    89: [
        case for name in BAD_NAMES for case in both(edit(picture("image", PNG, name)))
    ],
    90: [
        *both(
            edit(picture("image", encoded(noise(8, 8), "JPEG"))),
            answer="202",
        ),
        *both(
            edit(picture("image", b"<html>not an image</html>")),
            answer="400 unsupported_image",
        ),
    ],
    99: [
        *(
            case
            for twice in (Part("prompt", "again"), Part("prompt[a]", "again"))
            for case in both(
                edit(IMAGE, twice), param=twice.name, answer="400 duplicate_field"
            )
        ),
        *both(
            edit(*[picture("image[0]", PNG)] * 2),
            param="image[0]",
            answer="400 duplicate_field",
        ),
        *(
            case
            for name in ("image[100]", "images[][]", "photo", "_charset_")
            for case in both(
                edit(IMAGE, picture(name, PNG)),
                param=name,
                answer="400 unknown_field",
            )
        ),
    ],
    100: [
        *part("Content-Transfer-Encoding: base64"),
        *part("Content-Transfer-Encoding: xyz"),
    ],
}
