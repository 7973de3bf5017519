"""MultiRoute's page "Images (beta)", statement by statement."""

import sys
import time
from pathlib import Path
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
from tests.conformance.pages import Page, restored_blocks
from tests.conformance.tools import tool

PAGE = Page("multiroute_images")
PAGE.sets_aside(
    "headings, and the introduction to what follows them",
    """Images (beta)
    Overview
    Use this endpoint to:
    Status
    Beta / experimental
    Endpoint
    Full URL:
    Request body
    Example request body
    Response body
    Example response (response_format: "url")
    Examples
    cURL
    TypeScript / Node (fetch)
    Python (requests)
    Best practices""",
)
PAGE.sets_aside(
    "about MultiRoute's own plans; ours is a version in the path",
    """This functionality is currently beta and may change without notice as we refine \
the contract and underlying routing behavior.
    The images API is considered experimental. Fields, response formats, and \
supported models may evolve. Avoid hard-coding against this contract for long-lived \
production systems without version pinning and monitoring.
    - Monitoring: Because this API is beta, monitor for changes in response shape and \
fields. When possible, validate responses and log unexpected structures.""",
)
_TYPESCRIPT = PAGE.between("TypeScript / Node (fetch)", "Python (requests)")
_PYTHON = PAGE.between("Python (requests)", "Best practices")
_COMMONLY = "Output format. Common options:"


def generate(house: House, *, secret: str | None = SECRET, **fields: Any):
    asked = {"model": "multiroute-image-latest", "prompt": "a mountain range", **fields}
    return house.ask("POST", "/v1/images/generations", json=asked, secret=secret)


def made(house: House, **fields: Any) -> Any:
    answer = generate(house, **fields)
    assert answer.status_code == 200, answer.text
    return answer.json()


@PAGE.says(
    "The images endpoint family provides text-to-image generation capabilities via "
    "MultiRoute.",
    "- Generate images from natural language prompts.",
    "- Method:\nPOST - Path:\n/v1/images/generations - Base URL:\n"
    "https://api.multiroute.ai/v1\n",
)
@pytest.mark.parametrize("command", PAGE.commands())
def test_the_command_is_answered_with_a_link_to_an_image(house: House, command: str):
    ran = house.shell(command)

    assert ran.status == 200, ran.output
    [item] = ran.body["data"]
    assert linked(item).size == (1024, 1024)


def test_the_typescript_example_prints_the_link(house: House, node_home: Path):
    run_it = f"""
    const ts = require("{node_home}/node_modules/typescript");
    require.extensions[".ts"] = (module, file) =>
      module._compile(ts.transpile(ts.sys.readFile(file)), file);
    require("./example.ts");
    """
    (house.here / "example.ts").write_text(house.at_home(_TYPESCRIPT))

    printed = house.script(tool("node"), "run.cjs", run_it)

    url = printed.removeprefix("Image URL: ").strip()
    assert linked({"url": url}).size == (1024, 1024)


def test_the_python_example_prints_the_link(house: House):
    printed = house.script(sys.executable, "example.py", restored_blocks(_PYTHON))

    url = printed.removeprefix("Image URL: ").strip()
    assert linked({"url": url}).size == (1024, 1024)


@PAGE.says(
    "- Experiment with different models and quality settings through a unified API."
)
@pytest.mark.parametrize(
    "model", ["openai/gpt-image-2", "openai/dall-e-3", "test/test"]
)
def test_quality_means_the_same_at_every_model(house: House, model: str):
    asked = {"model": model, "quality": "high", "response_format": "b64_json"}

    body = made(house, **asked)

    assert body["quality"] == "high"
    assert inline(body["data"][0]).size == (1024, 1024)


@PAGE.says(
    "Authentication is required via the Authorization: Bearer <your-api-key> header."
)
@pytest.mark.parametrize(
    ("secret", "code"), [(None, "missing_key"), ("sk_nobody", "invalid_key")]
)
def test_key_is_required_as_a_bearer(house: House, secret: str | None, code: str):
    answer = generate(house, secret=secret)

    assert_standard_error(answer, 401, code=code)
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


@PAGE.says(
    "The request body is JSON with at least a model and a prompt, plus optional "
    "generation parameters:",
    "model(string, required):",
    "prompt(string, required): Natural language description of the image you want.",
)
@pytest.mark.parametrize("field", ["model", "prompt"])
def test_model_and_prompt_are_enough_and_required(house: House, field: str):
    enough, missing = generate(house), generate(house, **{field: None})

    assert enough.status_code == 200, enough.text
    assert_standard_error(missing, 400, param=field)


@PAGE.says(
    'Image-capable model identifier (for example,"multiroute-image-latest").',
)
@pytest.mark.parametrize(
    "model", ["multiroute-image-latest", "openai/gpt-image-1", "gpt-image-1"]
)
def test_model_may_be_an_alias_a_full_name_or_a_bare_one(house: House, model: str):
    answer = generate(house, model=model)

    job = house.ask("GET", answer.headers["Location"]).json()
    assert job["request"]["model"] == "openai/gpt-image-1"


@PAGE.says("n(integer, optional, default1): Number of images to generate.")
@pytest.mark.parametrize(("asked", "images"), [({}, 1), ({"n": 1}, 1), ({"n": 3}, 3)])
def test_n_is_one_by_default(house: House, asked: dict[str, int], images: int):
    assert len(made(house, **asked)["data"]) == images


@PAGE.says(
    'size(string, optional): Target resolution, such as"512x512","1024x1024", '
    "or model-specific sizes."
)
@pytest.mark.parametrize(
    ("model", "asked", "drawn"),
    [
        ("multiroute-image-latest", "1024x1024", (1024, 1024)),
        ("multiroute-image-latest", "512x512", (1024, 1024)),
        ("multiroute-image-latest", "1536x1024", (1536, 1024)),
        ("openai/dall-e-2", "512x512", (512, 512)),
    ],
)
def test_size_is_drawn_or_the_nearest_that_the_model_has(
    house: House, model: str, asked: str, drawn: tuple[int, int]
):
    body = made(house, model=model, size=asked)

    width, height = drawn
    assert (body["requested_size"], body["size"]) == (asked, f"{width}x{height}")
    assert linked(body["data"][0]).size == drawn


@PAGE.says(
    f"response_format(string, optional): {_COMMONLY}",
    '"url": Return URLs pointing to hosted images.',
    '"b64_json": Return base64-encoded image data.',
    'url(string): URL to download or view the image (whenresponse_format: "url").',
    'b64_json(string): Base64-encoded image data (whenresponse_format: "b64_json").',
)
@pytest.mark.parametrize(
    ("asked", "has", "lacks"),
    [
        ({}, "url", "b64_json"),
        ({"response_format": "url"}, "url", "b64_json"),
        ({"response_format": "b64_json"}, "b64_json", "url"),
    ],
)
def test_response_format_is_a_link_or_base64(
    house: House, asked: dict[str, str], has: str, lacks: str
):
    [item] = made(house, **asked)["data"]

    picture = linked(item) if has == "url" else inline(item)
    assert picture.size == (1024, 1024)
    assert lacks not in item


@PAGE.says(
    "user(string, optional): An opaque identifier for your end-user, for observability "
    "and abuse monitoring."
)
def test_user_is_kept_with_the_job(house: House):
    answer = generate(house, user="end-user-7")

    job = house.ask("GET", answer.headers["Location"]).json()
    assert job["request"]["user"] == "end-user-7"


@PAGE.says(
    "The endpoint returns a JSON object describing generated images:",
    "data(array): List of generated images.",
    "- Each entry may include:",
)
def test_example_body_is_answered_with_the_shape_of_the_example(house: House):
    asked, example = PAGE.examples()

    answer = generate(house, **asked)
    revised = generate(house, **asked | {"model": "openai/dall-e-3"})

    assert answer.headers["Content-Type"].startswith("application/json")
    assert answer.json()["data"][0].keys() >= example["data"][0].keys()
    assert_shape(revised.json(), example)


@PAGE.says("created(integer): Unix timestamp (seconds).")
def test_created_is_now_in_seconds(house: House):
    created = made(house)["created"]

    assert isinstance(created, int)
    assert abs(created - time.time()) < 5


@PAGE.says(
    "revised_prompt(string, optional): The prompt actually used by the underlying "
    "model after any rewriting or safety filtering.",
    "Use\nrevised_prompt(when present) to understand how a request was transformed.",
)
def test_revised_prompt_is_what_the_model_drew_where_it_says_so(house: House):
    [revised] = made(house, model="openai/dall-e-3", prompt="a lake")["data"]
    [untouched] = made(house, prompt="a lake")["data"]

    assert revised["revised_prompt"] == "In detail: a lake"
    assert untouched["revised_prompt"] is None


@PAGE.says(
    "- Safety and content policy: Prompts may be filtered or rewritten to comply with "
    "safety and content guidelines."
)
def test_filtered_prompt_is_an_error_that_nobody_retries(house: House):
    answer = generate(house, model="test/refuse")

    assert_standard_error(answer, 400, code="content_policy")
    assert answer.headers["x-should-retry"] == "false"


@PAGE.says(
    "- Storage: Download and store images in your own infrastructure if you need "
    "long-term retention. Hosted URLs may expire or be rotated."
)
def test_link_says_when_it_expires_and_cannot_be_prolonged(house: House):
    [item] = made(house)["data"]

    prolonged = item["url"].replace("exp=", "exp=9")

    assert item["url_expires_at"] - time.time() == pytest.approx(3600, abs=5)
    assert httpx.get(prolonged).status_code == 403


def test_nothing_on_the_page_goes_unsaid():
    assert PAGE.unsaid() == []
