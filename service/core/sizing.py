"""What a caller asked for in size, brought to what the model can draw.

Every way to ask (`size`, `aspect_ratio`, `image_size`) becomes one wanted shape;
the model's nearest size wins, by shape first and by pixel count second. A
landscape therefore stays a landscape, even where a square had more pixels in
common with it.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from math import log, sqrt
from typing import NamedTuple

from service.core.errors import InvalidRequest

TIERS = {"1K": 1024, "2K": 2048, "4K": 4096}
"""Side in pixels of a square of each tier; other shapes have as many pixels."""

LARGEST_SIDE = 16_384
"""Nobody draws a longer side; who asks for one made a mistake."""

_LEAST_PIXELS = (("4K", 8_000_000), ("2K", 2_000_000))  # 3840x2160, 1920x1080
_WIDEST = 64.0
_SAME_SHAPE = 0.03  # as log ratio; 1344x768 still is a 16:9, 3:2 is not a 4:3
_SIZE = re.compile(r"([1-9][0-9]{0,4})x([1-9][0-9]{0,4})")
_RATIO = re.compile(r"([1-9][0-9]{0,3}):([1-9][0-9]{0,3})")


class Size(NamedTuple):
    """Width and height in pixels."""

    width: int
    height: int

    @property
    def pixels(self) -> int:
        """How many there are."""
        return self.width * self.height

    @property
    def tier(self) -> str:
        """`1K`, `2K` or `4K`: what its pixel count comes nearest to being sold as."""
        tiers = (tier for tier, least in _LEAST_PIXELS if self.pixels >= least)
        return next(tiers, "1K")

    def __str__(self) -> str:
        return f"{self.width}x{self.height}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sized:
    """The size that will be drawn, next to the one that was asked for.

    Attributes:
        width: Pixels.
        height: Pixels.
        requested: What the caller wrote (`1000x1000`, `16:9 2K`); None for auto.
        tier: `1K`, `2K` or `4K`, which the quota counts by.
    """

    width: int
    height: int
    requested: str | None
    tier: str


@dataclass(frozen=True, slots=True)
class ExactSizes:
    """A model that draws these sizes and no others; the first is its default."""

    sizes: tuple[Size, ...]

    @property
    def default(self) -> Size:
        """What `auto` means."""
        return self.sizes[0]

    def nearest(self, want: Size) -> Size:
        """Return the listed size nearest in shape, then in pixel count."""
        return min(
            self.sizes,
            key=lambda size: (
                round(abs(_shape(size) - _shape(want)), 6),
                abs(log(size.pixels / want.pixels)),
            ),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class FreeSizes:
    """A model that draws any size within bounds.

    Attributes:
        multiple: Both sides are multiples of it.
        shortest: Least side in pixels, itself a multiple.
        longest: Greatest side in pixels, itself a multiple.
        max_pixels: Greatest pixel count.
        max_ratio: Greatest ratio of the longer side to the shorter.
        default: What `auto` means; within the bounds.
    """

    multiple: int
    shortest: int
    longest: int
    max_pixels: int
    max_ratio: float
    default: Size

    def nearest(self, want: Size) -> Size:
        """Return the size within bounds that keeps the shape, then the pixels."""
        ratio = min(max(want) / min(want), self.max_ratio)
        wish = max(sqrt(want.pixels * ratio), self.shortest * ratio)
        wish = min(wish, self.longest, sqrt(self.max_pixels * ratio))
        short = self._bounded(wish / ratio)
        long = min(
            self._bounded(wish),
            self._floored(short * self.max_ratio),
            self._floored(self.max_pixels / short),
        )
        return Size(long, short) if want.width >= want.height else Size(short, long)

    def _bounded(self, side: float) -> int:
        rounded = round(side / self.multiple) * self.multiple
        return min(max(rounded, self.shortest), self.longest)

    def _floored(self, side: float) -> int:
        return int(side // self.multiple) * self.multiple


@dataclass(frozen=True, slots=True)
class Sizing:
    """What a model can draw.

    Attributes:
        offer: Its sizes.
        snap: Whether another size becomes the nearest of them; otherwise it is
            refused as `unsupported_size`.
    """

    offer: ExactSizes | FreeSizes
    snap: bool = True


def sizes_of(ratios: Sequence[str], tiers: Sequence[str]) -> tuple[Size, ...]:
    """Return the nominal size of each ratio in each tier, sides multiples of 16.

    Raises:
        InvalidRequest: A ratio or tier is not one.
    """
    return tuple(_nominal(_ratio(r), _tier(t)) for t in tiers for r in ratios)


def parse_size(text: str) -> Size:
    """Read `WIDTHxHEIGHT`, strictly: ASCII digits, one small x, nothing around.

    Raises:
        InvalidRequest: It is not a size (`invalid_size`).
    """
    match = _SIZE.fullmatch(text)
    size = Size(*map(int, match.groups())) if match else None
    if size is None or max(size) > LARGEST_SIDE:
        raise InvalidRequest(
            "size must be auto or WIDTHxHEIGHT in pixels, such as 1024x1024",
            code="invalid_size",
            param="size",
        )
    return size


def resolve(
    sizing: Sizing,
    *,
    size: str | None = None,
    aspect_ratio: str | None = None,
    image_size: str | None = None,
) -> Sized:
    """Return the size that `sizing` draws for what the caller wrote.

    Args:
        sizing: The model's.
        size: `WIDTHxHEIGHT`; None or `auto`: unsaid, as for the other two.
        aspect_ratio: `W:H`, such as `16:9`.
        image_size: `1K`, `2K` or `4K`.

    Raises:
        InvalidRequest: One of them cannot be read (`invalid_size`), they
            contradict each other (`incompatible_options`), or the model does not
            draw it and does not snap (`unsupported_size`).
    """
    size, aspect_ratio, image_size = map(_said, (size, aspect_ratio, image_size))
    default = sizing.offer.default
    want = _wanted(size, aspect_ratio, image_size, default=default)
    drawn = default if want is None else sizing.offer.nearest(want)
    requested = size or " ".join(filter(None, (aspect_ratio, image_size))) or None
    if want is not None and not sizing.snap:
        _refuse_snapping(want, drawn, exactly=size is not None)
    return Sized(
        width=drawn.width, height=drawn.height, requested=requested, tier=drawn.tier
    )


def _wanted(
    size: str | None, aspect_ratio: str | None, image_size: str | None, *, default: Size
) -> Size | None:
    ratio = None if aspect_ratio is None else _ratio(aspect_ratio)
    tier = None if image_size is None else _tier(image_size)
    if size is not None:
        want = parse_size(size)
        _refuse_contradiction(want, ratio=ratio, tier=tier)
        return want
    if ratio is None and tier is None:
        return None
    return _nominal(ratio or default.width / default.height, tier or default.tier)


def _refuse_contradiction(want: Size, *, ratio: float | None, tier: str | None) -> None:
    if ratio is not None and abs(_shape(want) - log(ratio)) > _SAME_SHAPE:
        other = "aspect_ratio"
    elif tier is not None and want.tier != tier:
        other = "image_size"
    else:
        return
    raise InvalidRequest(
        f"size and {other} contradict each other; send one of them",
        code="incompatible_options",
        param=other,
    )


def _refuse_snapping(want: Size, drawn: Size, *, exactly: bool) -> None:
    alike = drawn.tier == want.tier and abs(_shape(drawn) - _shape(want)) <= _SAME_SHAPE
    if drawn == want or (alike and not exactly):
        return
    raise InvalidRequest(
        f"this model does not draw {want}; the nearest it draws is {drawn}",
        code="unsupported_size",
        param="size" if exactly else "aspect_ratio",
    )


def _said(text: str | None) -> str | None:
    return None if text == "auto" else text


def _ratio(text: str) -> float:
    match = _RATIO.fullmatch(text)
    ratio = int(match[1]) / int(match[2]) if match else 0.0
    if not 1 / _WIDEST <= ratio <= _WIDEST:
        raise InvalidRequest(
            "aspect_ratio must be auto or WIDTH:HEIGHT, such as 16:9",
            code="invalid_size",
            param="aspect_ratio",
        )
    return ratio


def _tier(text: str) -> str:
    if text not in {"1K", "2K", "4K", "1k", "2k", "4k"}:
        raise InvalidRequest(
            "image_size must be auto, 1K, 2K or 4K",
            code="invalid_size",
            param="image_size",
        )
    return text.upper()


def _nominal(ratio: float, tier: str) -> Size:
    side = TIERS[tier] / 16
    return Size(round(side * sqrt(ratio)) * 16, round(side / sqrt(ratio)) * 16)


def _shape(size: Size) -> float:
    return log(size.width / size.height)


def nearest_ratio(size: Size, ratios: Sequence[str]) -> str:
    """Return which of `ratios` (`16:9`) comes nearest to the shape of `size`."""

    def distance(text: str) -> float:
        width, _, height = text.partition(":")
        return abs(log(int(width) / int(height)) - log(size.width / size.height))

    return min(ratios, key=distance)
