"""What is taken for an image and what is not; in this process, file by file."""

import zlib

import pytest
from PIL import ExifTags, Image, ImageCms, PngImagePlugin

from service.core.errors import BadImage
from service.imaging import sniff
from service.imaging.decoding import check, convert, mask
from tests.fakes.images import (
    bilevel_png,
    chunk,
    decoded,
    encoded,
    moving,
    noise,
    oversized_jpeg,
    with_chunk,
    with_sides,
)

SMOOTH = Image.radial_gradient("L").resize((182, 182)).convert("RGB")
WHOLE = {
    "png": encoded(noise(), "PNG"),
    "palette png": encoded(SMOOTH.quantize(16), "PNG", bits=4),
    "jpeg": encoded(noise(), "JPEG"),
    "progressive jpeg": encoded(SMOOTH, "JPEG", progressive=True),
    "webp": encoded(noise(mode="RGBA"), "WEBP"),
    "lossless webp": encoded(SMOOTH, "WEBP", lossless=True),
}
PNG = WHOLE["png"]
DAMAGED = PNG[:5_000] + bytes([PNG[5_000] ^ 1]) + PNG[5_001:]


def refused(data: bytes) -> str:
    with pytest.raises(BadImage) as refusal:
        check(data)
    return refusal.value.code


@pytest.mark.parametrize("name", WHOLE)
def test_a_whole_image_is_what_its_first_bytes_say(name: str):
    facts = check(WHOLE[name])

    assert (facts.width, facts.height) == (182, 182)
    assert (
        facts.content_type
        == sniff(WHOLE[name])
        == f"image/{name.rsplit(maxsplit=1)[-1]}"
    )


@pytest.mark.parametrize("name", WHOLE)
def test_an_image_cut_anywhere_is_refused(name: str):
    data = WHOLE[name]
    ends = [*range(32, len(data), len(data) // 20), *range(len(data) - 20, len(data))]

    accepted = [end for end in ends if refused(data[:end]) != "invalid_image"]

    assert accepted == []


@pytest.mark.parametrize("name", WHOLE)
def test_what_is_wrong_with_an_image_is_said_in_plain_words(name: str):
    with pytest.raises(BadImage) as refusal:
        check(WHOLE[name][:-20])

    assert str(refusal.value) == "the image is damaged or incomplete"


@pytest.mark.parametrize(
    "data",
    [
        DAMAGED,
        with_sides(PNG, 2**31, 1),
        with_sides(PNG, 0, 0),
        PNG[:16] + b"\0\0\1\0" + PNG[20:],
        with_chunk(PNG, b"zTXt", b"a\0\0" + zlib.compress(bytes(64_000_000))),
        with_chunk(PNG, b"iTXt", b"a\0\1\0\0\0" + zlib.compress(bytes(64_000_000))),
        with_chunk(PNG, b"iCCP", b"a\0\0" + zlib.compress(bytes(64_000_000))),
        with_chunk(PNG, b"acTL", bytes(8)),
        PNG[:8] + chunk(b"IEND", b""),
    ],
    ids=[
        "one bit flipped",
        "side of 2^31",
        "no pixels",
        "wrong checksum",
        "zTXt bomb",
        "iTXt bomb",
        "iCCP bomb",
        "animation of no frames",
        "nothing inside",
    ],
)
def test_a_damaged_or_booby_trapped_png_is_refused(data: bytes):
    assert refused(data) == "invalid_image"


@pytest.mark.parametrize(
    "data",
    [
        bilevel_png(13_000, 13_000),
        bilevel_png(8_193, 1),
        with_sides(PNG, 2**31 - 1, 2**31 - 1),
        oversized_jpeg(),
        encoded(Image.new("L", (9_000, 16)), "WEBP"),
    ],
    ids=["bilevel bomb", "one pixel too wide", "endless png", "jpeg", "webp"],
)
def test_a_header_that_promises_too_many_pixels_is_enough(data: bytes):
    assert refused(data) == "image_too_large"


@pytest.mark.parametrize("image_format", ["GIF", "WEBP", "PNG"])
def test_an_image_that_moves_is_refused(image_format: str):
    assert refused(moving(image_format, frames=301)) == "animated_image"


@pytest.mark.parametrize("image_format", ["GIF", "BMP", "TIFF", "ICO", "PPM", "AVIF"])
def test_other_kinds_of_images_are_refused(image_format: str):
    assert refused(encoded(noise(16, 16), image_format)) == "unsupported_image"


@pytest.mark.parametrize(
    "data", [b"", b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"<html>", b"%PDF-1.7"]
)
def test_what_is_no_image_is_refused(data: bytes):
    assert refused(data) == "unsupported_image"


def test_a_jpeg_with_a_preview_behind_it_is_one_image():
    camera = encoded(SMOOTH, "MPO", save_all=True, append_images=[noise(16, 16)])

    assert check(camera).content_type == "image/jpeg"


@pytest.mark.parametrize("output_format", ["png", "jpeg", "webp"])
@pytest.mark.parametrize("name", WHOLE)
def test_every_kind_becomes_every_other(name: str, output_format: str):
    made, facts = convert(WHOLE[name], output_format=output_format, compression=None)

    assert check(made) == facts
    assert facts.content_type == f"image/{output_format}"
    assert (facts.width, facts.height) == (182, 182)


def test_compression_is_the_quality_of_the_encoder():
    sizes = [
        len(convert(PNG, output_format=output_format, compression=compression)[0])
        for output_format in ("jpeg", "webp")
        for compression in (0, 50, 100)
    ]

    assert sizes[0] < sizes[1] < sizes[2]
    assert sizes[3] < sizes[4] < sizes[5]


def test_transparency_becomes_white_where_there_is_none():
    half = Image.new("RGBA", (16, 16), (255, 0, 0, 0))

    made, _ = convert(encoded(half, "PNG"), output_format="jpeg", compression=100)

    assert decoded(made).getpixel((8, 8)) == (255, 255, 255)


@pytest.mark.parametrize("output_format", ["png", "webp"])
def test_transparency_is_kept_where_there_is_some(output_format: str):
    clear = encoded(Image.new("RGBA", (16, 16), (255, 0, 0, 64)), "PNG")

    made, _ = convert(clear, output_format=output_format, compression=None)

    assert decoded(made).getpixel((8, 8))[3] == 64


def test_gray_of_16_bits_keeps_its_shades():
    gray = Image.new("I;16", (16, 16), 32_768)

    made, _ = convert(encoded(gray, "PNG"), output_format="png", compression=None)

    assert decoded(made).getpixel((8, 8)) == (128, 128, 128)


def test_ink_becomes_light():
    cyan = Image.new("CMYK", (16, 16), (255, 0, 0, 0))

    made, _ = convert(encoded(cyan, "JPEG"), output_format="png", compression=None)

    assert decoded(made).getpixel((8, 8)) == (0, 255, 255)


def test_a_rotated_photo_is_set_upright():
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    lying = encoded(noise(32, 16), "JPEG", exif=exif)

    _, facts = convert(lying, output_format="png", compression=None)

    assert (facts.width, facts.height) == (16, 32)


def swapped() -> bytes:
    """A color profile in which blue is red: the one of sRGB, two names exchanged."""
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    exchange = {b"rXYZ": b"bXYZ", b"bXYZ": b"rXYZ"}
    end = 132 + 12 * int.from_bytes(srgb[128:132])
    for at in range(132, end, 12):
        name = srgb[at : at + 4]
        srgb = srgb[:at] + exchange.get(name, name) + srgb[at + 4 :]
    return srgb


def test_colors_are_brought_to_srgb():
    red = Image.new("RGBA", (16, 16), (255, 0, 0, 64))
    data = encoded(red, "PNG", icc_profile=swapped())

    made, _ = convert(data, output_format="png", compression=None)

    assert decoded(made).getpixel((8, 8)) == (0, 0, 255, 64)


def test_a_profile_that_cannot_be_read_is_no_obstacle():
    data = encoded(Image.new("RGB", (16, 16), "red"), "PNG", icc_profile=b"nonsense")

    made, _ = convert(data, output_format="png", compression=None)

    assert decoded(made).getpixel((8, 8)) == (255, 0, 0)


@pytest.mark.parametrize("output_format", ["png", "jpeg", "webp"])
@pytest.mark.parametrize("image_format", ["PNG", "JPEG", "WEBP"])
def test_nothing_but_pixels_survives(image_format: str, output_format: str):
    exif = Image.Exif()
    exif[ExifTags.Base.ImageDescription] = "the SECRET place"
    text = PngImagePlugin.PngInfo()
    text.add_text("comment", "the SECRET place")
    data = encoded(
        SMOOTH,
        image_format,
        exif=exif,
        pnginfo=text,
        comment="the SECRET place",
        xmp=b"<x>the SECRET place</x>",
        icc_profile=swapped(),
        dpi=(72, 72),
    )

    made, _ = convert(
        data + b"<script>SECRET</script>", output_format=output_format, compression=None
    )

    assert b"SECRET" in data
    assert b"SECRET" not in made
    assert not decoded(made).getexif()
    assert "icc_profile" not in decoded(made).info
    assert "comment" not in decoded(made).info


def test_sniffing_asks_the_first_bytes_only():
    assert sniff(PNG[:8]) == "image/png"
    assert sniff(WHOLE["jpeg"][:3]) == "image/jpeg"
    assert sniff(WHOLE["webp"][:12]) == "image/webp"
    assert sniff(b"RIFF\0\0\0\0WAVE") is None


@pytest.mark.parametrize(
    ("width", "size"),
    [(None, (60, 20)), (30, (30, 10)), (1, (1, 1)), (60, (60, 20)), (61, (60, 20))],
)
def test_a_narrowed_image_keeps_its_shape_and_is_never_widened(width, size):
    data = encoded(Image.new("RGBA", (60, 20), "#f004"), "PNG")

    made, facts = convert(data, output_format="webp", compression=None, width=width)

    assert decoded(made).size == (facts.width, facts.height) == size
    assert facts.has_alpha


def test_an_image_that_lies_on_its_side_is_narrowed_upright():
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    data = encoded(Image.new("RGB", (60, 20)), "JPEG", exif=exif)

    _, facts = convert(data, output_format="jpeg", compression=None, width=10)

    assert (facts.width, facts.height) == (10, 30)


def mask_of(alphas: list[int], image_format: str = "PNG") -> bytes:
    """A mask of one row, as transparent as `alphas` say; its colors say nothing."""
    image = noise(len(alphas), 1)
    image.putalpha(Image.frombytes("L", image.size, bytes(alphas)))
    return encoded(image, image_format, lossless=True)


@pytest.mark.parametrize(
    ("style", "drawn"),
    [("white", [255, 255, 0, 0]), ("black", [0, 0, 255, 255])],
)
@pytest.mark.parametrize("image_format", ["PNG", "WEBP"])
def test_a_mask_is_drawn_where_it_was_transparent(style, drawn, image_format):
    made = decoded(mask(mask_of([0, 127, 128, 255], image_format), style=style))

    assert (made.format, made.mode, made.size) == ("PNG", "L", (4, 1))
    assert list(made.tobytes()) == drawn


def test_a_palette_may_be_transparent_in_one_color():
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.putpixel((1, 0), 1)

    made = decoded(mask(encoded(image, "PNG", transparency=1), style="white"))

    assert list(made.tobytes()) == [0, 255]


def test_a_mask_without_transparency_changes_nothing():
    made = decoded(mask(encoded(noise(4, 1), "PNG"), style="white"))

    assert list(made.tobytes()) == [0, 0, 0, 0]


def test_a_damaged_mask_is_refused():
    with pytest.raises(BadImage):
        mask(PNG[:-40], style="white")
