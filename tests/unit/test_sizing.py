"""Every way to ask for a size, and what each kind of model makes of it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.errors import InvalidRequest
from service.core.sizing import (
    LARGEST_SIDE,
    ExactSizes,
    FreeSizes,
    Size,
    Sizing,
    parse_size,
    resolve,
    sizes_of,
)

EXACT = Sizing(ExactSizes((Size(1024, 1024), Size(1536, 1024), Size(1024, 1536))))
FREE = Sizing(
    FreeSizes(
        multiple=16,
        shortest=256,
        longest=3840,
        max_pixels=3840 * 2160,
        max_ratio=3.0,
        default=Size(1024, 1024),
    )
)
STRICT = Sizing(EXACT.offer, snap=False)

sides = st.integers(1, LARGEST_SIDE)


def drawn(sizing: Sizing, **asked: str) -> str:
    sized = resolve(sizing, **asked)
    return f"{sized.width}x{sized.height}"


@pytest.mark.parametrize("asked", [{}, {"size": "auto"}, {"aspect_ratio": "auto"}])
def test_auto_is_the_first_size_of_the_model(asked):
    sized = resolve(EXACT, **asked)

    assert (sized.width, sized.height, sized.tier) == (1024, 1024, "1K")
    assert sized.requested is None


@pytest.mark.parametrize(
    ("asked", "answer"),
    [
        ("1536x1024", "1536x1024"),
        ("1000x1000", "1024x1024"),
        ("1x1", "1024x1024"),
        ("1920x1080", "1536x1024"),
        ("1080x1920", "1024x1536"),
        ("16384x16384", "1024x1024"),
    ],
)
def test_another_size_becomes_the_nearest_in_shape(asked, answer):
    assert drawn(EXACT, size=asked) == answer


def test_of_two_sizes_of_one_shape_the_nearer_in_pixels_is_drawn():
    sizing = Sizing(ExactSizes((Size(1024, 1024), Size(512, 512), Size(256, 256))))

    assert drawn(sizing, size="600x600") == "512x512"


def test_what_was_asked_for_is_reported_next_to_what_is_drawn():
    assert resolve(EXACT, size="1000x1000").requested == "1000x1000"
    assert resolve(EXACT, aspect_ratio="16:9", image_size="2k").requested == "16:9 2k"
    assert resolve(EXACT, image_size="4K").requested == "4K"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0x0",
        "-1x1",
        "1024",
        "1024X1024 ",
        "1024X1024",
        " 1024x1024",
        "1024x1024\n",
        "01024x1024",
        "1e3x1e3",
        "+1x+1",
        "99999x99999",
        "16385x1",
        "\uff11\uff10\uff12\uff14x1024",
        "1024x1024x1024",
        "1024\u00d71024",
    ],
)
def test_what_is_not_a_size_is_refused(text):
    with pytest.raises(InvalidRequest) as refusal:
        parse_size(text)

    assert (refusal.value.code, refusal.value.param) == ("invalid_size", "size")


@pytest.mark.parametrize(
    "text", ["", "16/9", "16:9:1", "0:1", "1:0", "1.5:1", "65:1", "1:65", "\u0661:1"]
)
def test_what_is_not_a_ratio_is_refused(text):
    with pytest.raises(InvalidRequest) as refusal:
        resolve(EXACT, aspect_ratio=text)

    assert refusal.value.code == "invalid_size"
    assert refusal.value.param == "aspect_ratio"


@pytest.mark.parametrize("text", ["", "3K", "1", "1024", "1K ", "8k"])
def test_what_is_not_a_tier_is_refused(text):
    with pytest.raises(InvalidRequest) as refusal:
        resolve(EXACT, image_size=text)

    assert refusal.value.code == "invalid_size"
    assert refusal.value.param == "image_size"


@pytest.mark.parametrize(
    ("asked", "answer"),
    [
        ({"aspect_ratio": "1:1"}, "1024x1024"),
        ({"aspect_ratio": "16:9"}, "1360x768"),
        ({"aspect_ratio": "9:16"}, "768x1360"),
        ({"aspect_ratio": "16:9", "image_size": "2K"}, "2736x1536"),
        ({"image_size": "2k"}, "2048x2048"),
        ({"aspect_ratio": "21:9", "image_size": "1K"}, "1568x672"),
    ],
)
def test_ratio_and_tier_become_pixels(asked, answer):
    assert drawn(FREE, **asked) == answer


def test_a_ratio_beyond_the_model_becomes_its_widest():
    sized = resolve(FREE, aspect_ratio="8:1")

    assert sized.width / sized.height == pytest.approx(3, rel=0.02)


def test_a_size_agrees_with_its_own_ratio_and_tier():
    asked = {"size": "1344x768", "aspect_ratio": "16:9", "image_size": "1K"}

    assert resolve(FREE, **asked).requested == "1344x768"


@pytest.mark.parametrize(
    ("other", "value"), [("aspect_ratio", "4:3"), ("image_size", "4K")]
)
def test_a_size_that_contradicts_its_neighbor_is_refused(other, value):
    with pytest.raises(InvalidRequest) as refusal:
        resolve(EXACT, size="1024x1024", **{other: value})

    assert refusal.value.code == "incompatible_options"
    assert refusal.value.param == other


@pytest.mark.parametrize(
    "asked",
    [{"size": "1000x1000"}, {"aspect_ratio": "16:9"}, {"image_size": "4K"}],
)
def test_a_model_that_does_not_snap_refuses_other_sizes(asked):
    with pytest.raises(InvalidRequest) as refusal:
        resolve(STRICT, **asked)

    assert refusal.value.code == "unsupported_size"


@pytest.mark.parametrize("asked", [{}, {"size": "1536x1024"}, {"aspect_ratio": "3:2"}])
def test_a_model_that_does_not_snap_draws_its_own_sizes(asked):
    assert drawn(STRICT, **asked) in {"1024x1024", "1536x1024"}


def test_ratios_and_tiers_are_listed_smallest_tier_first():
    sizes = sizes_of(["1:1", "16:9"], ["1K", "2K"])

    assert [str(s) for s in sizes] == [
        "1024x1024",
        "1360x768",
        "2048x2048",
        "2736x1536",
    ]


@pytest.mark.parametrize(
    ("size", "tier"),
    [
        ("1024x1024", "1K"),
        ("1792x1024", "1K"),
        ("1920x1080", "2K"),
        ("2048x2048", "2K"),
        ("3840x2160", "4K"),
        ("4096x4096", "4K"),
    ],
)
def test_a_tier_is_what_its_pixels_are_sold_as(size, tier):
    assert parse_size(size).tier == tier


@given(width=sides, height=sides)
def test_whatever_is_asked_stays_within_bounds(width, height):
    offer = FREE.offer

    size = offer.nearest(Size(width, height))

    assert min(size) >= offer.shortest
    assert max(size) <= offer.longest
    assert size.pixels <= offer.max_pixels
    assert max(size) <= min(size) * offer.max_ratio
    assert size.width % offer.multiple == size.height % offer.multiple == 0


@given(width=sides, height=sides)
def test_what_was_snapped_once_stays_where_it_is(width, height):
    once = FREE.offer.nearest(Size(width, height))

    assert FREE.offer.nearest(once) == once


@given(width=st.integers(16, 4096), height=st.integers(16, 4096))
def test_a_model_without_a_grid_draws_exactly_what_is_asked(width, height):
    offer = FreeSizes(
        multiple=1,
        shortest=16,
        longest=4096,
        max_pixels=4096 * 4096,
        max_ratio=256.0,
        default=Size(1024, 1024),
    )

    assert offer.nearest(Size(width, height)) == Size(width, height)
