"""Images without an upstream: drawn here, from the prompt, for whoever is testing.

The picture shows its prompt and carries it whole in its metadata; equal prompt, seed
and place in the request give equal bytes. The name of the model decides what goes
wrong on the way.
"""

import asyncio
import functools
import os
import re
import signal
import textwrap
from colorsys import hsv_to_rgb
from datetime import timedelta
from decimal import Decimal
from hashlib import sha512
from io import BytesIO
from math import sqrt
from typing import ClassVar
from unicodedata import combining, normalize

from PIL import ExifTags, Image, ImageDraw, ImageFont, PngImagePlugin

from service.core.catalog import ProviderEntry
from service.core.errors import (
    PromptRejected,
    ProviderRefused,
    ProviderThrottled,
    ProviderUnavailable,
)
from service.core.provider import Call, Generated, GeneratedImage
from service.core.requests import GenerationRequest
from service.outbound import Outbound

POISON = "DARKROOM_TEST_POISON"
"""Environment variable that lets the model `poison` kill its process, if it is 1."""

_SLOW = re.compile(r"slow-([0-9]{1,4}(?:\.[0-9]{1,3})?)")
_SLOWEST_S = 600
_PATIENCE = timedelta(seconds=1)

_CELLS = 8
_SHADES = 64  # of 256; the text is in the lightest
_SHOWN = 1_000
_EXIF_BYTES = 60_000  # the segment that holds it ends at 65,535
_SMALLEST_PX, _LARGEST_PX = 8, 160
_GLYPH = (0.52, 1.3)  # width and line height of the font, in its size


class TestProvider:
    """Draws at once, unless the name of the model says otherwise.

    `test` draws; `slow-N` waits N seconds first, up to 600; `fail` is never there,
    `flaky` only at even attempts, `rate-limited` from the second on; `refuse` forbids
    every prompt, `half-image` sends halves, and `poison` kills its process.
    """

    __test__ = False  # the name looks to pytest like one of its own
    adapter: ClassVar[str] = "test"

    def __init__(
        self, entry: ProviderEntry, outbound: Outbound, api_key: str | None
    ) -> None:
        _ = entry, outbound, api_key  # nobody is called

    async def generate(
        self, request: GenerationRequest, *, model: str, call: Call
    ) -> Generated:
        """See `Provider.generate`."""
        await _behave(model, call.attempt)
        drawn = await asyncio.to_thread(
            lambda: [draw(request, index) for index in range(request.n)]
        )
        if model == "half-image":
            drawn = [data[: len(data) // 2] for data in drawn]
        return Generated(
            images=[GeneratedImage(data=data) for data in drawn], cost_usd=Decimal(0)
        )


async def _behave(model: str, attempt: int) -> None:
    """Let happen what the name of the model promises."""
    match model:
        case "fail":
            raise ProviderUnavailable("the test provider is down, as it was asked")
        case "flaky" if attempt % 2:
            raise ProviderUnavailable("the test provider is up at even attempts only")
        case "rate-limited" if attempt == 1:
            raise ProviderThrottled(
                "the test provider asks for a second's patience", retry_after=_PATIENCE
            )
        case "refuse":
            raise PromptRejected("the test provider forbids every prompt, as asked")
        case "poison" if os.environ.get(POISON) == "1":
            os.kill(os.getpid(), signal.SIGKILL)
        case "test" | "half-image" | "flaky" | "rate-limited":
            return
        case _:
            await asyncio.sleep(_pause_s(model))


def _pause_s(model: str) -> float:
    slow = _SLOW.fullmatch(model)
    if slow is None or float(slow[1]) > _SLOWEST_S:
        raise ProviderRefused(
            f"the test provider has no model {model[:80]!r}",
            code="provider_invalid_request",
        )
    return float(slow[1])


def draw(request: GenerationRequest, index: int) -> bytes:
    """Return image number `index` of `request`, encoded as it asks for.

    It is drawn in shades, which a palette turns into two colors and all between
    them: a third of the work of drawing in RGB.
    """
    told = f"{request.seed}\n{index}\n{request.prompt}"
    digest = sha512(told.encode(errors="surrogatepass")).digest()
    pattern = bytes(byte % _SHADES for byte in digest)
    image = Image.frombytes("L", (_CELLS, _CELLS), pattern).resize(
        (request.width, request.height), Image.Resampling.NEAREST
    )
    _write(image, request.prompt)
    image.putpalette(_between(digest[0] / 256, digest[1] / 256))
    return _encoded(image, request)


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
