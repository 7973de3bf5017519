"""rout.my's page "Embed Images", statement by statement."""

import html.parser
import re
from typing import Any

import httpx
import pytest

from tests.conformance.answers import assert_standard_error, decoded
from tests.conformance.house import SECRET, House
from tests.conformance.pages import Page

PAGE = Page("rout_my_embed")
PAGE.sets_aside(
    "navigation, headings, names of languages",
    """Skip to content
    Embed Images
    text
    Request
    Query parameters
    ParameterTypeRequiredNotes
    Model path
    HTML
    html
    Markdown
    md
    References
    Response
    HeaderMeaning
    Cache behavior
    Security note
    API documentation for rout.my.""",
)
_IN_HTML, _IN_MARKDOWN = (
    PAGE.between("html", "Markdown"),
    PAGE.between("md", "References"),
)
_A_YEAR_S = 31_536_000
_A_DAY_S = 86_400


def embed(
    house: House,
    *,
    secret: str | None = SECRET,
    model: str = "image-model-alias",
    headers: dict[str, str] | None = None,
    **query: str,
) -> httpx.Response:
    """Ask for an image as a page would: with the key in the URL, and no header."""
    if secret is not None:
        query = {"key": secret, **query}
    path = f"/embed/image:{model}"
    return house.ask("GET", path, params=query, secret=None, headers=headers or {})


def jobs(house: House, secret: str) -> list[Any]:
    return house.ask("GET", "/v1/jobs", secret=secret).json()["data"]


@PAGE.says(
    "The Embed Images endpoint generates an image and returns raw image bytes.",
    "On success, the response body is the image itself:",
    "GET ",
)
@pytest.mark.parametrize("link", PAGE.links()[1:])
def test_every_link_on_the_page_reads_an_image(house: House, link: str):
    answer = house.ask("GET", house.at_home(link), secret=None)

    assert answer.status_code == 200, answer.text
    assert decoded(answer.content).size == (1024, 1024)


class _Sources(html.parser.HTMLParser):
    found: str | None = None

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]):
        self.found = dict(attributes)["src"]


@PAGE.says("It can be used directly in HTML <img> tags or Markdown image syntax.")
@pytest.mark.parametrize("language", ["html", "markdown"])
def test_what_a_browser_finds_in_html_or_markdown_is_an_image(
    house: House, language: str
):
    if language == "html":
        parser = _Sources()
        parser.feed(_IN_HTML)
        source = parser.found
    else:
        source = re.fullmatch(r"!\[Generated image\]\((.*)\)", _IN_MARKDOWN.strip())[1]

    as_a_browser = {"Accept": "image/avif,image/webp,image/*,*/*;q=0.8"}
    answer = httpx.get(house.at_home(source), headers=as_a_browser)

    assert decoded(answer.content).format == "PNG"


@PAGE.says("keystringYesrout.my API key.")
@pytest.mark.parametrize("secret", [None, "sk_nobody"])
def test_key_is_required(house: House, secret: str | None):
    answer = embed(house, secret=secret, prompt="a cube without a key")

    assert_standard_error(answer, 401)


@PAGE.says("The route also works with compatible auth adapters.")
@pytest.mark.parametrize(
    "headers", [{"Authorization": f"Bearer {SECRET}"}, {"X-API-Key": SECRET}]
)
def test_key_may_come_in_a_header(house: House, headers: dict[str, str]):
    answer = embed(house, secret=None, prompt="a cube by header", headers=headers)

    assert answer.status_code == 200, answer.text


@PAGE.says("promptstringYesURL-encoded image prompt.")
def test_prompt_is_required(house: House):
    answer = embed(house)

    assert_standard_error(answer, 400, param="prompt")


@PAGE.says("Spaces can be written as + or %20.")
def test_plus_and_percent_20_are_the_same_space(house: House):
    path = f"/embed/image:image-model-alias?key={SECRET}&prompt="

    plus = house.ask("GET", f"{path}a+spaced+cube", secret=None)
    percent = house.ask("GET", f"{path}a%20spaced%20cube", secret=None)

    [job] = [
        j for j in jobs(house, SECRET) if j["request"]["prompt"] == "a spaced cube"
    ]
    assert job["status"] == "succeeded"
    assert plus.content == percent.content


@PAGE.says("referencesstringNoComma-separated image URLs used as references.")
def test_references_are_what_the_image_is_made_from(house: House):
    at = house.at_home("https://example.com")

    plain = embed(house, prompt="same object")
    one = embed(house, prompt="same object", references=f"{at}/ref1.png")
    two = embed(house, prompt="same object", references=f"{at}/ref1.png,{at}/ref2.png")

    assert len({plain.content, one.content, two.content}) == 3


@PAGE.says(
    "{model} is the short model name in the path:", "/embed/image:image-model-alias"
)
def test_model_in_the_path_is_a_short_name_of_the_catalog(house: House):
    secret = house.knows("short-name")

    answer = embed(house, secret=secret, prompt="a named cube")

    [job] = jobs(house, secret)
    assert answer.status_code == 200
    assert job["request"]["model"] == "provider/image-model-id"


@PAGE.says(
    "This endpoint intentionally uses a whitelist of image aliases.",
    "If an alias is not enabled for this endpoint, the API returns 400.",
)
@pytest.mark.parametrize("model", ["multiroute-image-latest", "no-such-alias"])
def test_alias_that_is_not_on_the_whitelist_is_refused(house: House, model: str):
    answer = embed(house, model=model, prompt="a cube")

    assert_standard_error(answer, 400)


@PAGE.says(
    "Content-TypeImage MIME type, for example image/png.",
    "Content-LengthImage byte size.",
    "X-CacheHIT when served from cache, MISS when newly generated.",
    "Cache-ControlLong-lived browser cache header for generated image bytes.",
)
def test_headers_describe_the_image_and_where_it_came_from(house: House):
    first = embed(house, prompt="a described cube")
    second = embed(house, prompt="a described cube")

    for answer, came in ((first, "MISS"), (second, "HIT")):
        picture = decoded(answer.content)
        lasts = re.search(r"max-age=(\d+)", answer.headers["Cache-Control"])
        assert answer.headers["Content-Type"] == f"image/{picture.format.lower()}"
        assert int(answer.headers["Content-Length"]) == len(answer.content)
        assert answer.headers["X-Cache"] == came
        assert _A_DAY_S <= int(lasts[1]) <= _A_YEAR_S


@PAGE.says("On error, the endpoint returns the standard JSON error object.")
def test_error_is_the_standard_object(house: House):
    answer = embed(house, prompt="")

    assert answer.headers["Content-Type"].startswith("application/json")
    assert_standard_error(answer, 400, type="invalid_request_error")


@PAGE.says(
    "Generated images are cached by model, normalized prompt, "
    "and sorted reference URLs."
)
def test_equal_means_equal_model_prompt_and_references(house: House):
    at = house.at_home("https://example.com")
    one, other = f"{at}/ref1.png,{at}/ref2.png", f"{at}/ref2.png,{at}/ref1.png"

    came = [
        embed(house, **asked).headers["X-Cache"]
        for asked in (
            {"prompt": "a cached caf\u00e9", "references": one},
            {"prompt": "  a cached\n cafe\u0301 ", "references": other},
            {"prompt": "a cached caf\u00e9"},
            {"prompt": "another cached caf\u00e9", "references": one},
            {"prompt": "a cached caf\u00e9", "model": "other-alias"},
        )
    ]

    assert came == ["MISS", "HIT", "MISS", "MISS", "MISS"]


@PAGE.says(
    "A cache hit returns the stored image without a new generation call "
    "and without quota deduction."
)
def test_hit_makes_no_call_and_costs_no_quota(house: House):
    one_image = 12_500  # 5,000 units, times the multiplier of this model
    secret = house.knows("hits", quota_units=one_image)
    before = house.calls()

    answers = [
        embed(house, secret=secret, model="other-alias", prompt="a cube to hit")
        for _ in range(5)
    ]

    assert [a.headers["X-Cache"] for a in answers] == ["MISS", *["HIT"] * 4]
    assert len({a.content for a in answers}) == 1
    assert house.calls() == before + 1


@PAGE.says(
    "This route places the key in a URL query parameter because image tags cannot send "
    "custom headers.",
    "Avoid using a private key in public pages unless every viewer is allowed to use "
    "that key.",
)
def test_key_that_was_not_made_for_urls_is_not_taken_from_one(house: House):
    private = house.knows("private", scopes=frozenset({"generate"}))

    in_url = embed(house, secret=private, prompt="a private cube")
    elsewhere = house.ask("GET", "/v1/jobs", params={"key": SECRET}, secret=None)

    assert_standard_error(in_url, 400, code="key_not_for_urls")
    assert elsewhere.status_code == 401
    assert not house.has_logged(private)


def test_nothing_on_the_page_goes_unsaid():
    assert PAGE.unsaid() == []
