"""Edits of the test provider: what they begin with shows through."""

from dataclasses import replace

import pytest
from PIL import Image, ImageChops

from service.core.provider import Call, InputBytes
from service.core.requests import GenerationRequest
from tests.fakes.images import decoded, encoded
from workers.providers._drawing import draw

EDIT = GenerationRequest(
    model="test/test", prompt="a hat", width=64, height=64, operation="edit"
)
RED, BLUE = (250, 0, 0), (0, 0, 250)


def plain(color: tuple[int, ...], side: int = 64) -> InputBytes:
    mode = "RGBA" if len(color) == 4 else "RGB"
    data = encoded(Image.new(mode, (side, side), color), "PNG")
    return InputBytes(data=data, content_type="image/png")


def mean(image: Image.Image, box: tuple[int, int, int, int]) -> list[int]:
    part = image.convert("RGB").crop(box).resize((1, 1), Image.Resampling.BOX)
    return list(part.getpixel((0, 0)))


def drawn(call: Call, **changes: object) -> Image.Image:
    return decoded(draw(replace(EDIT, **changes), 0, call)).convert("RGB")


def test_the_color_of_the_input_shows_through():
    red = mean(drawn(Call(images=[plain(RED)])), (0, 0, 64, 64))
    blue = mean(drawn(Call(images=[plain(BLUE)])), (0, 0, 64, 64))

    assert red[0] - blue[0] > 100
    assert blue[2] - red[2] > 100


def test_the_prompt_shows_too():
    call = Call(images=[plain(RED)])

    assert drawn(call).tobytes() != drawn(call, prompt="a coat").tobytes()


def test_several_inputs_lie_side_by_side():
    both = drawn(Call(images=[plain(RED), plain(BLUE, side=16)]))

    left, right = mean(both, (0, 0, 32, 64)), mean(both, (32, 0, 64, 64))
    assert left[0] - right[0] > 100
    assert right[2] - left[2] > 100


@pytest.mark.parametrize("side", [64, 32])
def test_nothing_changes_where_the_mask_is_opaque(side):
    mask = Image.new("RGBA", (side, side), "black")
    mask.paste((0, 0, 0, 0), (0, 0, side // 2, side))
    masked = InputBytes(data=encoded(mask, "PNG"), content_type="image/png")

    made = drawn(Call(images=[plain(RED), plain(BLUE)], mask=masked))

    changed = ImageChops.difference(made, Image.new("RGB", made.size, RED)).getbbox()
    assert changed == (0, 0, 32, 64)


@pytest.mark.parametrize("kind", ["png", "jpeg", "webp"])
def test_an_edit_comes_in_the_format_asked_for(kind):
    data = draw(replace(EDIT, output_format=kind), 0, Call(images=[plain(RED)]))

    assert decoded(data).format == kind.upper()
    assert decoded(data).size == (64, 64)
