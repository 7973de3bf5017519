"""The skill file with which agents use ImageRouter, statement by statement."""

import time
from collections.abc import Callable

import httpx
import pytest

from tests.conformance.answers import (
    assert_shape,
    assert_standard_error,
    decoded,
    inline,
    linked,
)
from tests.conformance.house import House, Ran
from tests.conformance.imagerouter import EDITS, GENERATIONS, as_form, as_json
from tests.conformance.pages import Page

PAGE = Page("imagerouter_skill")
PAGE.sets_aside(
    "the site around the file, headings, and names of languages",
    """\u2190 Back to Skills
    Browser
    image-router
    dawe35 By dawe35 \U0001f441 4 views \u25b2 0 votes
    Generate AI images with any model using ImageRouter API
    GitHub
    name: imagerouter
    description: Generate AI images with any model using ImageRouter API (requires API \
key).
    homepage: https://imagerouter.io
    homepage:
    metadata: {"clawdbot":{"emoji":"\U0001f3a8","requires":{"bins":["curl"]}}}
    # ImageRouter Image Generation
    ## Available models
    ## Quick Start - Text-to-Image
    ## Unified Endpoint (Text-to-Image & Image-to-Image)
    ## Parameters
    ## Response Format
    ```json
    ```bash
    ## Endpoint Comparison
    | Feature | Unified (/edits) | JSON (/generations) |
    ## Tips
    ## Examples by Use Case
    browser
    Comments
    Sign in to leave a comment
    Loading comments...""",
)

Ask = Callable[..., httpx.Response]


def run(house: House, words: str) -> Ran:
    """Run the command of the page that has these words in it."""
    [command] = [command for command in PAGE.commands() if words in command]
    ran = house.shell(command)
    assert ran.status == 200, ran.output
    return ran


@PAGE.says(
    "The `test/test` model is a free dummy model that is used for testing the API. It "
    "is not a real model, therefore you should use other models for image generation."
)
def test_dummy_model_is_free_and_calls_nobody(house: House):
    calls = house.calls()

    body = as_json(house).json()

    models = house.ask("GET", "/v1/models?free=true", secret=None).json()
    assert body["cost"] == 0
    assert house.calls() == calls
    assert "test/test" in models
    assert "openai/gpt-image-1" not in models


@PAGE.says("Get top 10 most popular models:")
def test_popular_models_are_the_ten_that_drew_most(house: House):
    for _ in range(3):
        as_json(house, model="google/gemini-image", n=10)

    popular = run(house, "get-popular-models").body

    assert 1 <= len(popular) <= 10
    assert "google/gemini-image" in popular


@PAGE.says("Search available models by name:")
def test_models_are_searched_by_name(house: House):
    found = run(house, "name=gemini").body

    assert "google/gemini-image" in found
    assert all("gemini" in name for name in found)


@PAGE.says("Get all available models:")
def test_all_models_are_a_map_by_id(house: House):
    found = run(house, "limit=1000").body
    one = house.ask("GET", "/v1/models?limit=1", secret=None).json()
    videos = house.ask("GET", "/v1/models?type=video", secret=None).json()

    assert {"test/test", "openai/gpt-image-1", "google/gemini-image"} <= found.keys()
    assert all(model["providers"] for model in found.values())
    assert (len(one), videos) == (1, {})


@PAGE.says(
    "Generate images with any model available on ImageRouter using curl commands.",
    "Basic generation with JSON endpoint:",
    "### Text-to-Image with multipart/form-data:",
    "### Image-to-Image (with input images):",
    "### Multiple images (up to 16):",
    "### With mask (some models require mask for inpainting):",
    "### Quick test generation:",
)
@pytest.mark.parametrize(
    "words",
    [
        "a serene mountain landscape at sunset",
        "a cyberpunk city at night",
        "transform this into a watercolor painting",
        "combine these images",
        "fill the masked area with flowers",
        "test image",
    ],
)
def test_command_is_answered_with_a_link_to_a_webp(house: House, words: str):
    ran = run(house, words)

    [item] = ran.body["data"]
    assert linked(item).format == "WEBP"


@PAGE.says("### Download image directly:")
def test_download_by_pipe_leaves_the_image_in_a_file(house: House):
    run(house, "abstract art")

    assert decoded((house.here / "output.webp").read_bytes()).format == "WEBP"


@pytest.mark.parametrize(("images", "status"), [(16, 200), (17, 400)])
def test_sixteen_images_are_the_most(house: House, images: int, status: int):
    files = [("image[]", "image1.webp")] * images

    answer = as_form(house, *files)

    assert answer.status_code == status, answer.text


@PAGE.says(
    "- **model** (required): Image model to use (see https://imagerouter.io/models)"
)
@pytest.mark.parametrize("model", [None, "no/such"])
def test_model_is_required(house: House, model: str | None):
    answer = as_json(house, model=model)

    assert_standard_error(answer, 400, param="model")


@PAGE.says(
    "- **prompt** (optional): Text description for generation. Most models require a "
    "text prompt, but not all."
)
def test_prompt_is_optional_where_there_is_an_image(house: House):
    image = ("image[]", "image1.webp")

    without = as_form(house, image, prompt=None)
    neither = as_form(house, prompt=None)

    assert without.status_code == 200, without.text
    assert_standard_error(neither, 400, param="prompt")


@PAGE.says("- **quality** (optional): `auto` (default), `low`, `medium`, `high`")
@pytest.mark.parametrize(
    ("asked", "drawn"),
    [({}, "auto"), *(({"quality": q}, q) for q in ("auto", "low", "medium", "high"))],
)
def test_quality_is_auto_by_default(house: House, asked: dict[str, str], drawn: str):
    answers = [as_json(house, **asked), as_form(house, **asked)]

    assert [answer.json()["quality"] for answer in answers] == [drawn, drawn]


@PAGE.says(
    "- **size** (optional): `auto` (default) or `WIDTHxHEIGHT` (e.g., `1024x1024`)."
)
@pytest.mark.parametrize(
    ("size", "drawn"),
    [
        (None, (1024, 1024)),
        ("auto", (1024, 1024)),
        ("1024x1024", (1024, 1024)),
        ("128x32", (128, 32)),
    ],
)
def test_size_is_auto_by_default(
    house: House, size: str | None, drawn: tuple[int, int]
):
    body = as_json(house, size=size).json()

    assert linked(body["data"][0]).size == drawn


@PAGE.says(
    "- **response_format** (optional):",
    "- `url` (default) - Returns hosted URL",
    "- `b64_json` - Returns base64-encoded image",
    "- `b64_ephemeral` - Base64 without saving to logs",
)
@pytest.mark.parametrize(
    ("asked", "has"),
    [
        ({}, "url"),
        ({"response_format": "url"}, "url"),
        ({"response_format": "b64_json"}, "b64_json"),
        ({"response_format": "b64_ephemeral"}, "b64_json"),
    ],
)
@pytest.mark.parametrize("ask", [as_json, as_form])
def test_response_format_is_a_link_by_default(
    house: House, ask: Ask, asked: dict[str, str], has: str
):
    [item] = ask(house, **asked).json()["data"]

    picture = linked(item) if has == "url" else inline(item)
    assert picture.size == (64, 64)
    assert not {"url", "b64_json"} - {has} & item.keys()


@PAGE.says("- **output_format** (optional): `webp` (default), `jpeg`, `png`")
@pytest.mark.parametrize(
    ("asked", "drawn"),
    [
        ({}, "WEBP"),
        ({"output_format": "webp"}, "WEBP"),
        ({"output_format": "jpeg"}, "JPEG"),
        ({"output_format": "png"}, "PNG"),
    ],
)
@pytest.mark.parametrize("model", ["test/test", "openai/dall-e-2"])
def test_output_format_is_webp_by_default_whatever_the_model_sends(
    house: House, model: str, asked: dict[str, str], drawn: str
):
    [item] = as_json(house, model=model, size="256x256", **asked).json()["data"]

    assert linked(item).format == drawn


@PAGE.says(
    "- **image[]** (optional): Input file for Image-to-Image (multipart only)",
    "- **mask[]** (optional): Editing mask for inpainting (multipart only)",
)
def test_image_and_mask_change_what_is_drawn(house: House):
    image, mask = ("image[]", "image1.webp"), ("mask[]", "mask.webp")

    answers = [as_form(house, *f) for f in ([], [image], [image, mask])]

    urls = [answer.json()["data"][0]["url"] for answer in answers]
    pictures = {httpx.get(url).content for url in urls}
    assert len(pictures) == 3


def test_answer_has_the_shape_of_the_example(house: House):
    [example] = PAGE.examples()

    body = as_json(house, model="multiroute-image-latest", size="auto").json()

    assert_shape(body, example)
    assert 0 < body["latency"] < 60_000  # in ms
    assert body["cost"] == pytest.approx(0.042)  # in US dollars
    # The example counts in ms, as ImageRouter's dummy model alone does.
    assert abs(body["created"] - time.time()) < 60


@PAGE.says(
    "| Text-to-Image | \u2705 | \u2705 |",
    "| Image-to-Image | \u2705 | \u274c |",
    "| Encoding | multipart/form-data | application/json |",
    "- Both `/v1/openai/images/generations` and `/v1/openai/images/edits` are the same "
    "for the unified endpoint",
)
@pytest.mark.parametrize("path", [GENERATIONS, EDITS])
@pytest.mark.parametrize("images", [[], ["ref1.png"], ["ref1.png", "ref2.png"]])
@pytest.mark.parametrize("ask", [as_json, as_form])
def test_both_addresses_take_both_encodings_with_images_or_without(
    house: House, path: str, ask: Ask, images: list[str]
):
    if ask is as_json:
        elsewhere = house.at_home("https://example.com")
        answer = ask(house, path, image=[f"{elsewhere}/{name}" for name in images])
    else:
        answer = ask(house, *(("image[]", name) for name in images), path=path)

    assert answer.status_code == 200, answer.text
    assert linked(answer.json()["data"][0]).size == (64, 64)


@PAGE.says(
    "- Use JSON endpoint for simple text-to-image when you don't need file uploads",
    "- Use unified endpoint when you need Image-to-Image capabilities",
    "- Check model features at https://imagerouter.io/models (quality support, edit "
    "support, etc.)",
)
def test_models_say_what_they_support(house: House):
    models = house.ask("GET", "/v1/models?type=image", secret=None).json()

    assert (
        models["openai/gpt-image-1"]["supported_params"].items()
        >= {
            "quality": True,
            "edit": True,
            "mask": True,
        }.items()
    )
    assert not models["openai/dall-e-3"]["supported_params"]["edit"]


@PAGE.says("- Get your API key at https://imagerouter.io/api-keys")
@pytest.mark.parametrize("secret", [None, "sk_nobody"])
def test_key_is_needed_to_make_images(house: House, secret: str | None):
    refused = as_json(house, secret=secret)
    known = house.ask("GET", "/v1/auth/test")

    assert_standard_error(refused, 401, type="unauthorized")
    assert known.status_code == 200


def test_nothing_on_the_page_goes_unsaid():
    assert PAGE.unsaid() == []
