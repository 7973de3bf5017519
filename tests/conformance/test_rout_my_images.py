"""rout.my's page "Images", statement by statement."""

import re
from typing import Any

import httpx
import pytest

from tests.conformance.answers import (
    assert_shape,
    assert_standard_error,
    inline,
    linked,
)
from tests.conformance.house import SECRET, House
from tests.conformance.pages import Page

PAGE = Page("rout_my_images")
PAGE.sets_aside(
    "headings and names of languages",
    """Images
    text
    bash
    Request fields
    | Field | Type | Required | Notes |
    | Field | Type | Notes |
    |---|---|---|---|
    |---|---|---|
    |---|---|
    image_config
    Response
    json
    or:
    Quota accounting
    | Requested size | Base quota units per image |
    Chat image generation""",
)
MODEL = "provider/image-model-id"
_IMAGE = 5_000
_RATIOS = "1:1, 16:9, 9:16, 4:3, 3:4, 4:5, 5:4, and 21:9"
_SIZES = "1K, 2K, and 4K"
_SMALL = {"size": "64x64", "model": "test/test"}


def generate(house: House, *, secret: str = SECRET, **fields: Any) -> httpx.Response:
    asked = {"model": MODEL, "prompt": "a translucent blue cube", **fields}
    return house.ask("POST", "/v1/images/generations", json=asked, secret=secret)


def made(house: House, **fields: Any) -> Any:
    answer = generate(house, **fields)
    assert answer.status_code == 200, answer.text
    return answer.json()


def units_used(house: House, secret: str) -> int:
    """Return what the key's account has used of its quota."""
    used = house.ask("GET", "/v1/usage", secret=secret).json()
    return used["total"]["quota_units"]


def request_of(house: House, answer: httpx.Response) -> Any:
    """Return what the job behind an answer was asked for."""
    return house.ask("GET", answer.headers["Location"]).json()["request"]


@PAGE.says(
    "Use POST /v1/images/generations for OpenAI-style image generation.",
    "POST https://api.rout.my/v1/images/generationsRequest",
)
@pytest.mark.parametrize("command", PAGE.commands())
def test_the_command_makes_one_square_image_of_1k(house: House, command: str):
    ran = house.shell(command)

    assert ran.status == 200, ran.output
    [item] = ran.body["data"]
    assert linked(item).size == (1024, 1024)


@PAGE.says("model | string | Yes |", "prompt | string | Yes |")
@pytest.mark.parametrize("field", ["model", "prompt"])
def test_model_and_prompt_are_required(house: House, field: str):
    answer = generate(house, **{field: None})

    assert_standard_error(answer, 400, param=field)


@PAGE.says("Exact image model ID from /v1/models. |")
def test_every_id_of_the_list_names_a_model(house: House):
    listed = house.ask("GET", "/v1/models").json()

    ids = [model["id"] for model in listed["data"]]
    named = [house.ask("GET", f"/v1/models/{name}").json()["id"] for name in ids]
    assert listed["object"] == "list"
    assert MODEL in ids
    assert named == ids


@PAGE.says("Text description of the image. |")
def test_prompt_reaches_the_provider_as_it_was_sent(house: House):
    answer = generate(house, **_SMALL, prompt=" Ein Würfel,\n\tblau 🟦 ")

    assert request_of(house, answer)["prompt"] == " Ein Würfel,\n\tblau 🟦 "


@PAGE.says(
    "n | integer | No | Number of images requested. "
    "Defaults to provider behavior when omitted. |"
)
@pytest.mark.parametrize(("asked", "made_of_it"), [({}, 1), ({"n": 3}, 3)])
def test_n_is_the_number_of_images_and_one_when_omitted(
    house: House, asked: dict[str, int], made_of_it: int
):
    assert len(made(house, **_SMALL, **asked)["data"]) == made_of_it


@PAGE.says(
    "size | string | No | OpenAI-style size value, when supported by the model. |"
)
def test_size_is_drawn_where_the_model_supports_it_and_else_the_nearest(house: House):
    free = made(house, model="test/test", size="96x64", response_format="b64_json")
    fixed = made(house, size="1000x1000", response_format="b64_json")

    assert inline(free["data"][0]).size == (96, 64)
    assert inline(fixed["data"][0]).size == (1024, 1024)
    assert (fixed["requested_size"], fixed["size"]) == ("1000x1000", "1024x1024")


@PAGE.says(
    "quality | string | No | Quality hint, when supported by the model. |",
    "style | string | No | Style hint, when supported by the model. |",
    "user | string | No | Client-side user identifier. |",
)
@pytest.mark.parametrize(
    "hint", [{"quality": "high"}, {"style": "natural"}, {"user": "u-1"}]
)
def test_hint_is_taken_along(house: House, hint: dict[str, str]):
    answer = generate(house, **_SMALL, **hint)

    assert answer.status_code == 200, answer.text
    assert request_of(house, answer).items() >= hint.items()


@PAGE.says("image_config | object | No | Provider-neutral image settings. |")
@pytest.mark.parametrize(
    ("wrong", "param"),
    [("1:1", "image_config"), ({"aspect_ratio": "wide"}, "aspect_ratio")],
)
def test_image_config_is_an_object_of_known_settings(
    house: House, wrong: Any, param: str
):
    assert_standard_error(generate(house, image_config=wrong), 400, param=param)


@PAGE.says(f"aspect_ratio | string | Common values include {_RATIOS}. |")
@pytest.mark.parametrize("ratio", re.findall(r"\d+:\d+", _RATIOS))
def test_aspect_ratio_is_the_shape_of_the_image(house: House, ratio: str):
    [item] = made(house, image_config={"aspect_ratio": ratio})["data"]

    width, height = linked(item).size
    across, down = map(int, ratio.split(":"))
    assert width / height == pytest.approx(across / down, rel=0.02)


@PAGE.says(
    f"image_size | string | Common values include {_SIZES}. "
    "Values are forwarded to the provider when supported. |"
)
@pytest.mark.parametrize("size", re.findall(r"\d+K", _SIZES))
def test_image_size_is_what_the_provider_draws(house: House, size: str):
    [item] = made(house, image_config={"image_size": size})["data"]

    side = 1024 * int(size.removesuffix("K"))
    assert linked(item).size == (side, side)


@PAGE.says(
    "The response follows an OpenAI-style image generation shape.",
    "Depending on the upstream provider, "
    "each image can contain a URL or base64 payload.",
    "Client code should handle both url and b64_json.",
)
@pytest.mark.parametrize(
    ("asked", "example"),
    [
        ({"model": "openai/dall-e-3"}, PAGE.examples()[0]),
        ({"response_format": "b64_json"}, PAGE.examples()[1]),
    ],
)
def test_answer_has_the_shape_of_the_example(house: House, asked: Any, example: Any):
    assert_shape(made(house, **asked), example)


@PAGE.says(
    "Image generation deducts per generated image, "
    "multiplied by the model's token_multiplier:",
    "empty, 1K, 2K, or other non-4K values | 5,000 |",
    "4K | 12,500 |",
)
@pytest.mark.parametrize(
    ("asked", "units"),
    [
        ({}, _IMAGE),
        ({"image_config": {"image_size": "1K"}}, _IMAGE),
        ({"image_config": {"image_size": "2K"}}, _IMAGE),
        ({"image_config": {"image_size": "4K"}}, 12_500),
        ({"model": "test/test", "size": "100x50"}, _IMAGE),
        ({"model": "test/test", "size": "64x64", "n": 3}, 3 * _IMAGE),
        ({"model": "provider/other"}, 2.5 * _IMAGE),
        ({"model": "test/refuse"}, 0),
    ],
)
def test_images_are_deducted_by_their_size(house: House, asked: Any, units: float):
    secret = house.knows("deducted", quota_units=1_000_000)
    before = units_used(house, secret)

    generate(house, secret=secret, **asked)

    assert units_used(house, secret) - before == units


@PAGE.says(
    "Provider-reported usage can also be used internally when available.",
    "The public response does not expose billing metadata.",
)
def test_answer_says_nothing_of_money(house: House):
    answer = generate(house, model="multiroute-image-latest")

    job = house.ask("GET", answer.headers["Location"]).json()
    assert answer.json().keys().isdisjoint({"cost", "latency", "price", "billing"})
    assert job["cost"] > 0


@PAGE.says(
    "Some image-capable chat models use /v1/chat/completions "
    'with modalities: ["image", "text"].',
    "See Chat Completions for that request shape.",
)
def test_chat_with_modalities_answers_with_an_image(house: House):
    asked = {
        "model": MODEL,
        "messages": [{"role": "user", "content": "a translucent blue cube"}],
        "modalities": ["image", "text"],
    }

    answer = house.ask("POST", "/v1/chat/completions", json=asked).json()

    message = answer["choices"][0]["message"]
    [image] = message["images"]
    kind, _, data = image["image_url"]["url"].partition(",")
    assert (message["role"], kind) == ("assistant", "data:image/png;base64")
    assert inline({"b64_json": data}).size == (1024, 1024)


def test_nothing_on_the_page_goes_unsaid():
    assert PAGE.unsaid() == []
