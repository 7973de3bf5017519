"""What is done to the bytes of an image; runs in a decoder process only.

Pillow alone is not enough: it opens 42 formats, draws the first of many frames, and
takes a PNG whose end is missing or whose pixels fail their checksum.
"""

import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BytesIO
from typing import NoReturn

from PIL import (
    Image,
    ImageCms,
    ImageOps,
    WebPImagePlugin,  # noqa: F401 - without it, Image.open would know no WebP
)

from service.core.errors import BadImage
from service.imaging.facts import ImageFacts, sniff

MAX_SIDE = 8192
"""Pixels; no longer side is taken."""
MAX_PIXELS = 25_000_000
"""No larger area is taken, however the sides are."""

_FORMATS = {"image/png": "PNG", "image/jpeg": "JPEG", "image/webp": "WEBP"}
_HALF = 128
_FIRST_CHUNK, _CHUNK = 8, struct.Struct(">I4s")
_SIDES = struct.Struct(">II")


def check(data: bytes) -> ImageFacts:
    """Decode all of `data` and say what it is.

    Raises:
        BadImage: It is not one whole, still image of a kind and size that we take.
        MemoryError: It is larger than its header says.
    """
    with _refusing():
        _, facts = _decoded(data)
    return facts


def convert(
    data: bytes,
    *,
    output_format: str,
    compression: int | None,
    width: int | None = None,
) -> tuple[bytes, ImageFacts]:
    """Decode all of `data` and encode it anew: upright, in sRGB, without metadata.

    Args:
        data: See `check`, which raises the same.
        output_format: `png`, `jpeg` or `webp`.
        compression: 0 to 100 for jpeg and webp; None: the encoder's default.
        width: Pixels; a narrower image stays as it is. None: its own width.
    """
    with _refusing():
        image, _ = _decoded(data)
        image = _plain(image)
        if width is not None and width < image.width:
            height = max(1, round(image.height * width / image.width))
            image = image.resize((width, height), Image.Resampling.LANCZOS)
        if output_format == "jpeg":
            image = _on_white(image)
        image.info.clear()  # some encoders write what they find there
        file = BytesIO()
        image.save(file, output_format, **_options(output_format, compression))
    facts = ImageFacts(
        width=image.width,
        height=image.height,
        content_type=f"image/{output_format}",
        has_alpha=image.mode == "RGBA",
    )
    return file.getvalue(), facts


def mask(data: bytes, *, style: str) -> bytes:
    """Return a PNG that is black and white where the mask `data` has transparency.

    Half transparent counts as what it is nearer to: most who read such a mask know no
    gray between keeping and changing.

    Args:
        data: See `check`, which raises the same.
        style: Color of what is transparent: `white` or `black`.
    """
    with _refusing():
        image, _ = _decoded(data)
        alpha = _plain(image).convert("RGBA").getchannel("A")
        through, rest = (255, 0) if style == "white" else (0, 255)
        drawn = alpha.point(lambda value: through if value < _HALF else rest)
        file = BytesIO()
        drawn.save(file, "png", **_options("png", None))
    return file.getvalue()


@contextmanager
def _refusing() -> Iterator[None]:
    try:
        yield
    except (BadImage, MemoryError):
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as exc:
        raise _too_large() from exc
    except Exception as exc:  # hostile bytes bring out of Pillow whatever there is
        raise _damaged() from exc


def _decoded(data: bytes) -> tuple[Image.Image, ImageFacts]:
    content_type = sniff(data)
    if content_type is None:
        _refuse_foreign(data)
    if content_type == "image/png":
        _check_chunks(data)
    image = Image.open(BytesIO(data), formats=[_FORMATS[content_type]])
    if max(image.size) > MAX_SIDE or image.width * image.height > MAX_PIXELS:
        raise _too_large()
    # A JPEG with a preview or depth map behind it has "frames", and one picture.
    if _moves(image) and image.format != "MPO":
        raise _animated()
    image.load()
    facts = ImageFacts(
        width=image.width,
        height=image.height,
        content_type=content_type,
        has_alpha=image.has_transparency_data,
    )
    return image, facts


def _refuse_foreign(data: bytes) -> NoReturn:
    if data.startswith(b"GIF8"):
        image = Image.open(BytesIO(data), formats=["GIF"])
        if _moves(image):
            raise _animated()
    raise BadImage(
        "the bytes are not a PNG, JPEG or WebP image", code="unsupported_image"
    )


def _moves(image: Image.Image) -> bool:
    return bool(getattr(image, "is_animated", False))


def _check_chunks(data: bytes) -> None:
    """Read a PNG's chunks up to its end: all there, and with the right checksums."""
    if not all(0 < side < 2**31 for side in _SIDES.unpack_from(data, 16)):
        raise BadImage("the image has a side that no PNG can have")
    view, at = memoryview(data), _FIRST_CHUNK
    while at < len(data):
        size, kind = _CHUNK.unpack_from(data, at)
        end = at + _CHUNK.size + size
        checksum = int.from_bytes(view[end : end + 4])
        if zlib.crc32(view[at + 4 : end]) != checksum:
            break
        if kind == b"IEND":
            return
        at = end + 4
    raise _damaged()


def _plain(image: Image.Image) -> Image.Image:
    """Return `image` upright, as RGB or RGBA, its colors those of sRGB."""
    ImageOps.exif_transpose(image, in_place=True)
    if image.mode.startswith("I;16"):  # convert() would clip, not scale
        image = image.point(lambda value: value / 256).convert("L")
    mode = "RGBA" if image.has_transparency_data else "RGB"
    profile = image.info.get("icc_profile")
    if profile and image.mode in ("RGB", "RGBA", "CMYK"):
        with suppress(ImageCms.PyCMSError):  # of other colors, or no profile at all
            return _in_srgb(image, profile, mode)
    return image if image.mode == mode else image.convert(mode)


def _in_srgb(image: Image.Image, profile: bytes, mode: str) -> Image.Image:
    srgb = ImageCms.createProfile("sRGB")
    change = ImageCms.buildTransform(BytesIO(profile), srgb, image.mode, mode)
    return change.apply(image)


def _on_white(image: Image.Image) -> Image.Image:
    if image.mode != "RGBA":
        return image
    white = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(white, image).convert("RGB")


def _options(output_format: str, compression: int | None) -> dict[str, int]:
    """Speed over the last tenth of size: an encoder's thorough ways take thrice."""
    if output_format == "png":
        return {"compress_level": 1}
    options = {"method": 0} if output_format == "webp" else {}
    return options if compression is None else options | {"quality": compression}


def _damaged() -> BadImage:
    return BadImage("the image is damaged or incomplete")


def _too_large() -> BadImage:
    return BadImage(
        f"the image has more than {MAX_PIXELS:,} pixels, or more than "
        f"{MAX_SIDE:,} on a side",
        code="image_too_large",
    )


def _animated() -> BadImage:
    return BadImage("the image has more than one frame", code="animated_image")
