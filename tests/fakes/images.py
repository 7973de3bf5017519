"""Image files as the world sends them: whole ones, moving ones, and bombs.

`tests.fakes.pictures` draws the cheap ones that a provider sends; these are here to
be decoded.
"""

import random
import struct
import zlib
from io import BytesIO
from typing import Any

from PIL import Image

PNG_START = b"\x89PNG\r\n\x1a\n"


def noise(width: int = 182, height: int = 182, mode: str = "RGB") -> Image.Image:
    """A picture that no encoder makes small: 182x182 in RGB is a PNG of 100 KB."""
    pixels = random.Random(1).randbytes(width * height * len(mode))
    return Image.frombytes(mode, (width, height), pixels)


def encoded(image: Image.Image, image_format: str, **options: Any) -> bytes:
    file = BytesIO()
    image.save(file, image_format, **options)
    return file.getvalue()


def decoded(data: bytes) -> Image.Image:
    image = Image.open(BytesIO(data))
    image.load()
    return image


def moving(image_format: str, frames: int, side: int = 16) -> bytes:
    """An animation; every frame is of another gray."""
    first, *others = (
        Image.new("RGB", (side, side), (255 * i // frames,) * 3) for i in range(frames)
    )
    return encoded(first, image_format, save_all=True, append_images=others)


def chunk(kind: bytes, data: bytes) -> bytes:
    """One chunk of a PNG, its checksum right."""
    checksum = zlib.crc32(kind + data)
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)


def bilevel_png(width: int, height: int) -> bytes:
    """A black PNG of one bit a pixel, never held in memory unpacked."""
    packer = zlib.compressobj(9)
    row = bytes(1 + (width + 7) // 8)
    pixels = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return (
        PNG_START
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", pixels)
        + chunk(b"IEND", b"")
    )


def with_chunk(png: bytes, kind: bytes, data: bytes) -> bytes:
    """`png` with one more chunk behind its header."""
    end_of_header = len(PNG_START) + 25
    return png[:end_of_header] + chunk(kind, data) + png[end_of_header:]


def with_sides(png: bytes, width: int, height: int) -> bytes:
    """`png` with a header that says something else, and a right checksum."""
    end_of_header = len(PNG_START) + 25
    header = struct.pack(">II", width, height) + png[24:29]
    return PNG_START + chunk(b"IHDR", header) + png[end_of_header:]


def oversized_jpeg() -> bytes:
    """A JPEG whose header says 65500x65500."""
    data = bytearray(encoded(noise(16, 16), "JPEG"))
    at = data.index(b"\xff\xc0") + 5
    data[at : at + 4] = struct.pack(">HH", 65_500, 65_500)
    return bytes(data)
