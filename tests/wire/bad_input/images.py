"""Rows 91 to 98: images that are none, and images that are more."""

import zlib

from PIL import Image

from tests.fakes.forms import picture
from tests.fakes.images import (
    PNG_START,
    bilevel_png,
    encoded,
    moving,
    noise,
    with_chunk,
    with_sides,
)
from tests.wire.bad_input.cases import Case, Rows, edit, uploaded
from tests.wire.bad_input.forms import HOLE, PNG, json_edit, masked
from tests.wire.bad_input.references import data_url

FOREIGN = (
    b"<svg xmlns='http://www.w3.org/2000/svg'><script/></svg>",
    encoded(noise(16, 16, "L"), "GIF"),
    *(encoded(noise(16, 16), name) for name in ("BMP", "TIFF", "EPS", "PDF", "ICO")),
    b"8BPS\x00\x01" + bytes(100),
    b"SIMPLE  =                    T" + bytes(2880),
    b"\x00\x00\x00\x1cftypavif" + bytes(100),
    b"<html>not an image</html>",
    b"\x00",
)


def bomb(kind: bytes) -> bytes:
    unpacked = bytes(64 << 20)
    return with_chunk(PNG, kind, b"a\x00\x00" + zlib.compress(unpacked, 9))


def rotated() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    return encoded(noise(64, 48), "JPEG", exif=exif)


def sent(*images: bytes) -> list[Case]:
    """Return edits that begin with each; its second image is the bad one."""
    return [
        Case(
            request=uploaded(edit(picture("image", PNG), picture("image", data))),
            param="image[1]",
        )
        for data in images
    ]


def taken(*images: bytes) -> list[Case]:
    """Return edits that begin with each."""
    return [Case(request=uploaded(edit(picture("image", data)))) for data in images]


ROWS: Rows = {
    91: [
        *sent(*FOREIGN),
        *json_edit("image", image=data_url(b"<svg/>", "image/svg+xml")),
        *json_edit("image", image=data_url(b"<html>", "application/octet-stream")),
    ],
    92: sent(bilevel_png(13_000, 13_000)),
    93: sent(
        with_sides(PNG, 2**31, 1),
        with_sides(PNG, 0, 0),
        PNG[:40] + b"\xff" + PNG[41:],
    ),
    94: sent(*(moving(name, 301) for name in ("GIF", "WEBP", "PNG"))),
    95: [
        *sent(
            PNG_START,
            PNG[: len(PNG) // 2],
            encoded(noise(64, 48), "JPEG")[:1000],
            encoded(noise(64, 48), "WEBP")[:1000],
        ),
        *masked(HOLE[:-10]),
    ],
    96: sent(bomb(b"zTXt"), bomb(b"iCCP")),
    97: taken(
        encoded(Image.new("I;16", (64, 48)), "PNG"),
        encoded(noise(64, 48, "CMYK"), "JPEG"),
        encoded(noise(64, 48).convert("P"), "PNG"),
        rotated(),
    ),
    98: taken(PNG + b"<html><script>alert(1)</script>", PNG + b"PK\x03\x04"),
}
