"""The pictures that are made in the benches, and what it costs to decode one."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from io import BytesIO

from PIL import Image

from tests.fakes.images import encoded, noise

_DECODING_S = 0.4


@dataclass(frozen=True)
class Picture:
    """A PNG of one color, and in its corner a square of noise, which is its weight.

    Attributes:
        side: Pixels, as wide as high.
        noisy: Side of that square; three bytes a pixel are in the file.
    """

    side: int
    noisy: int

    @cached_property
    def png(self) -> bytes:
        image = Image.new("RGB", (self.side, self.side), "teal")
        image.paste(noise(self.noisy, self.noisy))
        return encoded(image, "PNG")

    def decode_ms(self) -> float:
        """Return what Pillow alone needs of a processor for one full decode."""
        data, times, begun = self.png, 0, time.process_time()
        while (took := time.process_time() - begun) < _DECODING_S:
            Image.open(BytesIO(data)).load()
            times += 1
        return took / times * 1000


PICTURES: Mapping[str, Picture] = {
    "182x182 of 100 KB": Picture(182, 182),
    "1024x1024 of 100 KB": Picture(1024, 181),
    "1024x1024 of 2 MB": Picture(1024, 816),
}


def slug(name: str) -> str:
    """Return the name of a picture as a model's, which has no spaces."""
    return name.replace(" of ", "-").replace(" ", "").lower()
