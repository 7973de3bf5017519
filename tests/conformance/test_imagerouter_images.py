"""ImageRouter's page "Image Generation", statement by statement."""

import re
import sys
from typing import Any

import httpx
import pytest

from tests.conformance.answers import (
    assert_standard_error,
    decoded,
    inline,
    linked,
    until,
)
from tests.conformance.house import House
from tests.conformance.imagerouter import EDITS, GENERATIONS, as_form, as_json
from tests.conformance.pages import Page, restored_lines
from tests.conformance.tools import tool

PAGE = Page("imagerouter_images")
PAGE.sets_aside(
    "headings, an invitation, and words that the next line explains",
    """Image Generation
    Parameners:
    quality
    size
    image[]
    mask[]
    Please contact me if you miss anything.""",
)
_BELOW_CURL = PAGE.text.splitlines()[2]
_BELOW_JAVASCRIPT = PAGE.text.splitlines()[4]
_JAVASCRIPT = PAGE.between(_BELOW_CURL, "import requests")
_PYTHON = PAGE.between(_BELOW_JAVASCRIPT, "Parameners:")
_SAVED = (
    "The image is saved in your logs. and is publicly accessible with the URL if you "
    "share it."
)


def made(house: House, **fields: Any) -> Any:
    fields = {"size": None, **fields}
    answer = as_json(house, **fields)
    assert answer.status_code == 200, answer.text
    return answer.json()


def job_of(house: House, answer: httpx.Response) -> httpx.Response:
    return house.ask("GET", f"/v1/jobs/{answer.headers['x-job-id']}")


@pytest.mark.parametrize("command", PAGE.commands())
def test_the_command_is_answered_with_a_link_to_an_image(house: House, command: str):
    ran = house.shell(command)

    assert ran.status == 200, ran.output
    assert linked(ran.body["data"][0]).format == "WEBP"


def test_the_javascript_example_prints_an_image(house: House):
    printed = house.script(tool("node"), "example.mjs", _JAVASCRIPT)

    url = re.search(r"url: *'([^']+)'", printed)[1]
    assert linked({"url": url}).format == "WEBP"


def test_the_python_example_prints_an_image(house: House):
    printed = house.script(sys.executable, "example.py", restored_lines(_PYTHON))

    url = re.search(r"'url': '([^']+)'", printed)[1]
    assert linked({"url": url}).format == "WEBP"


@PAGE.says("Generate images with any model available on ImageRouter.")
@pytest.mark.parametrize("path", [GENERATIONS, EDITS])
@pytest.mark.parametrize("model", ["test/test", "openai/gpt-image-1", "gpt-image-1"])
def test_every_model_makes_images_at_both_addresses(
    house: House, path: str, model: str
):
    answer = as_json(house, path, model=model, size=None)

    assert answer.status_code == 200, answer.text
    assert linked(answer.json()["data"][0]).size == (1024, 1024)


@PAGE.says("prompt\n* Text prompt for generating images.")
def test_prompt_is_what_is_drawn(house: House):
    answer = as_json(house, prompt="a lighthouse, its light\n")

    request = job_of(house, answer).json()["request"]
    assert request["prompt"] == "a lighthouse, its light\n"


@PAGE.says("model\n* Image model to use for generation.")
@pytest.mark.parametrize("model", [None, "no/such"])
def test_model_must_be_one_that_there_is(house: House, model: str | None):
    answer = as_json(house, model=model)

    assert_standard_error(answer, 400, param="model")


@PAGE.says(
    "Not all models support this. Compatible models have \u201cquality\u201d feature "
    "label here",
)
def test_models_say_whether_quality_is_theirs(house: House):
    models = house.ask("GET", "/v1/openai/models").json()

    supported = {name: model["supported_params"] for name, model in models.items()}
    assert supported["openai/gpt-image-1"]["quality"]
    assert not supported["openai/dall-e-2"]["quality"]


@PAGE.says(
    "auto\n[default] - Usually points to \u201cmedium\u201d, but some models (eg. "
    "gpt-image-1) automatically adjust quality based on your prompt.",
    "low\nmedium\nhigh\n",
)
@pytest.mark.parametrize(
    ("asked", "drawn"),
    [
        ({}, "auto"),
        ({"quality": "auto"}, "auto"),
        ({"quality": "low"}, "low"),
        ({"quality": "medium"}, "medium"),
        ({"quality": "high"}, "high"),
    ],
)
@pytest.mark.parametrize("model", ["test/test", "openai/gpt-image-1"])
def test_quality_is_auto_by_default(
    house: House, model: str, asked: dict[str, str], drawn: str
):
    body = made(house, model=model, **asked)

    assert body["quality"] == drawn


def test_quality_that_there_is_not_is_refused(house: House):
    answer = as_json(house, quality="ultra")

    assert_standard_error(answer, 400, param="quality")


@PAGE.says(
    "- Accepted values are different for each model. Some models and providers "
    "completely ignoresize\n.",
    "WIDTHxHEIGHT\n(eg 1024x1024)",
)
@pytest.mark.parametrize(
    ("model", "asked", "drawn"),
    [
        ("test/test", "1024x1024", (1024, 1024)),
        ("test/test", "80x48", (80, 48)),
        ("openai/gpt-image-1", "80x48", (1536, 1024)),
        ("google/gemini-image", "1024x1024", (64, 64)),
    ],
)
def test_size_is_drawn_or_the_nearest_that_the_model_has(
    house: House, model: str, asked: str, drawn: tuple[int, int]
):
    body = made(house, model=model, size=asked)

    assert body["size"] == f"{drawn[0]}x{drawn[1]}"
    assert linked(body["data"][0]).size == drawn


@PAGE.says(
    "auto\n[default] - Uses the default recommended size for each model. Some models "
    "(eg. gpt-image-1) automatically adjust size based on your prompt."
)
@pytest.mark.parametrize("asked", [{}, {"size": "auto"}])
@pytest.mark.parametrize(
    ("model", "default"),
    [("test/test", (1024, 1024)), ("google/gemini-image", (64, 64))],
)
def test_size_is_the_models_own_by_default(
    house: House, model: str, default: tuple[int, int], asked: dict[str, str]
):
    body = made(house, model=model, **asked)

    assert linked(body["data"][0]).size == default


@PAGE.says(
    "response_format\nurl\n[default] - Returns the image URL hosted on "
    f"ImageRouter\u2019s servers. {_SAVED}"
)
@pytest.mark.parametrize("asked", [{}, {"response_format": "url"}])
@pytest.mark.parametrize("model", ["test/test", "gpt-image-1"])
def test_link_is_the_default_and_anybody_can_read_it(
    house: House, model: str, asked: dict[str, str]
):
    answer = as_json(house, model=model, size=None, **asked)

    [item] = answer.json()["data"]
    assert "b64_json" not in item
    assert linked(item).size == (1024, 1024)
    assert job_of(house, answer).json()["status"] == "succeeded"


@PAGE.says(f"b64_json\n- Returns the image as base64-encoded JSON data. {_SAVED}")
def test_base64_is_inline_and_kept(house: House):
    answer = as_json(house, response_format="b64_json")

    [item] = answer.json()["data"]
    [kept] = job_of(house, answer).json()["result"]["data"]
    assert "url" not in item
    assert inline(item).size == linked(kept).size == (64, 64)


@PAGE.says(
    "b64_ephemeral\n- Same as b64_json but the image is not saved in our system. "
    "The provider may still have it."
)
def test_ephemeral_base64_is_inline_and_gone(house: House):
    said = "a lighthouse that nobody saw"

    answer = as_json(house, response_format="b64_ephemeral", prompt=said)

    job = answer.headers["x-job-id"]
    assert inline(answer.json()["data"][0]).size == (64, 64)
    until(lambda: house.stored(job) == [])
    assert not house.has_logged(said)
    assert said not in job_of(house, answer).text


@PAGE.says("Input image(s) for supported image editing models.")
def test_input_images_decide_what_is_drawn(house: House):
    one, other = ("image[]", "image1.webp"), ("image[]", "image2.webp")

    answers = [
        as_form(house, *files, response_format="b64_json")
        for files in ([one], [other], [one, other])
    ]

    pictures = {answer.json()["data"][0]["b64_json"] for answer in answers}
    assert len(pictures) == 3


def test_model_that_edits_nothing_takes_no_image(house: House):
    answer = as_form(house, ("image[]", "image1.webp"), model="openai/dall-e-3")

    assert_standard_error(answer, 400)


@PAGE.says("Some models require a mask file to specify areas to edit.")
def test_mask_leaves_alone_what_it_covers(house: House):
    image = [("image[]", "image1.webp")]
    as_it_was = decoded((house.here / "image1.webp").read_bytes()).convert("RGB")
    asked = {"response_format": "b64_json", "output_format": "png"}

    whole = inline(as_form(house, *image, **asked).json()["data"][0])
    masked = as_form(house, *image, ("mask[]", "mask.webp"), **asked)

    picture = inline(masked.json()["data"][0])
    assert picture.tobytes() != whole.tobytes()
    assert picture.convert("RGB").getpixel((2, 2)) == as_it_was.getpixel((2, 2))


def test_nothing_on_the_page_goes_unsaid():
    assert PAGE.unsaid() == []
