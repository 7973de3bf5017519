"""The test provider's pictures.

A picture shows its prompt and carries it whole in its metadata; equal prompt, seed
and place in the request give equal bytes. An edit shows through it what it began
with, and changes nothing where the mask forbids it.
"""

import functools
import textwrap
from colorsys import hsv_to_rgb
from hashlib import sha512
from io import BytesIO
from math import sqrt
from unicodedata import combining, normalize

from PIL import ExifTags, Image, ImageDraw, ImageFont, PngImagePlugin
from PIL.Image import Resampling

from service.core.provider import Call, InputBytes
from service.core.requests import GenerationRequest

_NEAREST = Resampling.NEAREST

_PLAIN = Call()
_CELLS = 8
_SHADES = 64  # of 256; the text is in the lightest
_THIN = 0.4
_FINER = 4
_SHOWN = 1_000
_EXIF_BYTES = 60_000  # the segment that holds it ends at 65,535
_SMALLEST_PX, _LARGEST_PX = 8, 160
_GLYPH = (0.52, 1.3)  # width and line height of the font, in its size


def draw(request: GenerationRequest, index: int, call: Call = _PLAIN) -> bytes:
    """Return image number `index` of `request`, encoded as it asks for."""
    return _encoded(_drawn(request, index, call), request)


def sketch(request: GenerationRequest, stage: int, call: Call = _PLAIN) -> bytes:
    """Return the first image before it is finished: in cells, finer at each stage."""
    whole = _drawn(request, 0, call).convert("RGB")
    px = _FINER ** (request.partial_images - stage)
    cells = max(1, whole.width // px), max(1, whole.height // px)
    coarse = whole.resize(cells, Resampling.BOX).resize(whole.size, _NEAREST)
    return _encoded(coarse, request)


def _drawn(request: GenerationRequest, index: int, call: Call) -> Image.Image:
    drawn = _picture(request, index)
    if not call.images:
        return drawn
    return _over(_laid_out(call, drawn.size), drawn.convert("RGB"), call.mask)


def _picture(request: GenerationRequest, index: int) -> Image.Image:
    """Return the picture of a prompt.

    It is drawn in shades, which a palette turns into two colors and all between
    them: a third of the work of drawing in RGB.
    """
    told = f"{request.seed}\n{index}\n{request.prompt}"
    digest = sha512(told.encode(errors="surrogatepass")).digest()
    pattern = bytes(byte % _SHADES for byte in digest)
    image = Image.frombytes("L", (_CELLS, _CELLS), pattern).resize(
        (request.width, request.height), _NEAREST
    )
    _write(image, request.prompt)
    image.putpalette(_between(digest[0] / 256, digest[1] / 256))
    return image


def _laid_out(call: Call, size: tuple[int, int]) -> Image.Image:
    """Return the images to start from, side by side; with a mask, the first alone."""
    images = call.images[:1] if call.mask is not None else call.images
    canvas, width = Image.new("RGB", size), size[0] / len(images)
    for place, image in enumerate(images):
        left, right = round(place * width), round((place + 1) * width)
        with Image.open(BytesIO(image.data)) as opened:
            part = opened.convert("RGB").resize((max(1, right - left), size[1]))
        canvas.paste(part, (left, 0))
    return canvas


def _over(
    base: Image.Image, drawn: Image.Image, mask: InputBytes | None
) -> Image.Image:
    """Return `drawn` over `base`: where the mask is transparent, or thinly all over."""
    if mask is None:
        return Image.blend(base, drawn, _THIN)
    with Image.open(BytesIO(mask.data)) as opened:
        kept = opened.convert("RGBA").getchannel("A").resize(base.size, _NEAREST)
    return Image.composite(base, drawn, kept)


def _write(image: Image.Image, prompt: str) -> None:
    """Write as much of `prompt` as there is room for, as large as there is room for."""
    text = _drawable(prompt[:_SHOWN])
    margin = min(image.size) // 16
    width, height = image.width - 2 * margin, image.height - 2 * margin
    fitting = sqrt(0.8 * width * height / (_GLYPH[0] * _GLYPH[1] * max(1, len(text))))
    ceiling = min(_LARGEST_PX, min(width, height) // 4)
    px = max(_SMALLEST_PX, min(int(fitting), ceiling))
    lines = textwrap.wrap(text, max(1, int(width / (px * _GLYPH[0]))))
    ImageDraw.Draw(image).multiline_text(
        (margin, margin),
        "\n".join(lines[: max(1, int(height / (px * _GLYPH[1])))]),
        font=_font(px),
        fill=255,
    )


def _drawable(text: str) -> str:
    """Return `text` without accents, which the font lacks, on a single line."""
    letters = (c for c in normalize("NFKD", text) if not combining(c))
    return "".join(c if c.isprintable() else " " for c in letters)


@functools.lru_cache(maxsize=16)
def _font(px: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(px)


def _between(dark_hue: float, light_hue: float) -> bytes:
    """Return a palette from a dark color to a light one, far enough from each other."""
    dark, light = hsv_to_rgb(dark_hue, 0.7, 0.35), hsv_to_rgb(light_hue, 0.2, 1.0)
    return bytes(
        round((255 - shade) * start + shade * end)
        for shade in range(256)
        for start, end in zip(dark, light, strict=True)
    )


def _encoded(image: Image.Image, request: GenerationRequest) -> bytes:
    prompt = request.prompt.encode(errors="replace")
    file = BytesIO()
    if request.output_format == "png":
        text = PngImagePlugin.PngInfo()
        text.add_itxt("prompt", prompt.decode())
        image.save(file, "PNG", pnginfo=text, compress_level=1)
        return file.getvalue()
    exif = Image.Exif()
    exif[ExifTags.Base.ImageDescription] = _cut(prompt, _EXIF_BYTES)
    compression = request.output_compression
    options = {} if compression is None else {"quality": compression}
    if request.output_format == "webp":
        options["method"] = 0
    image.convert("RGB").save(file, request.output_format, exif=exif, **options)
    return file.getvalue()


def _cut(text: bytes, size: int) -> bytes:
    """Return at most `size` bytes of UTF-8, with no code point cut in two."""
    return text[:size].decode(errors="ignore").encode()
