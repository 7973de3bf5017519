"""The document of the API: whole, valid, true to the router, with working examples."""

import hashlib
import json
import re
from base64 import b64encode
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp import web
from openapi_spec_validator import OpenAPIV31SpecValidator

from service.api.app import make_app
from service.api.form_fields import FormFields
from service.api.input_images import InputImages, holds_image
from service.api.openapi.codes import FAILED, REFUSED
from service.api.openapi.documents import Documents, document_of
from service.api.openapi.operation import Body, Images, Operation
from service.api.openapi.tables import OPERATIONS, TAGS
from service.api.openapi.yaml import to_yaml
from service.catalog_file import LiveCatalog
from service.intake.fields import read_fields
from service.settings import PACKAGED_CATALOG, Settings
from tests.fakes.witness import Witness

ROOT = Path(__file__).parents[2]
DOCUMENT = document_of("http://127.0.0.1:8080")
WRITTEN = Documents("http://127.0.0.1:8080")
JSON = {"Content-Type": "application/json"}
WITNESS = Witness()


@pytest.fixture(scope="module")
def app() -> web.Application:
    return make_app(Settings(), LiveCatalog(PACKAGED_CATALOG))


def is_for_people(path: str) -> bool:
    """Whether the path leads to a page of the dashboard, no part of the API."""
    return path == "/ui" or path.startswith("/ui/")


def test_it_names_every_route_and_no_other(app: web.Application):
    served = {
        (route.method, route.resource.canonical)
        for route in app.router.routes()
        if route.resource is not None and not is_for_people(route.resource.canonical)
    }
    # aiohttp adds a HEAD to every GET.
    implied = {("HEAD", path) for method, path in served if method == "GET"}

    named = {(operation.method, operation.path) for operation in OPERATIONS}

    assert named | implied == served | implied


def test_it_is_openapi_3_1():
    faults = OpenAPIV31SpecValidator(DOCUMENT).iter_errors()

    assert [fault.message for fault in faults] == []


def test_no_two_routes_share_a_name():
    names = [operation.id for operation in OPERATIONS]

    assert len(set(names)) == len(names)


def test_an_answer_that_has_an_id_leads_to_whoever_takes_it():
    taken = DOCUMENT["components"]["links"]
    submitted = DOCUMENT["paths"]["/v1/jobs"]["post"]["responses"]["202"]

    assert {*submitted["links"]} >= {"get_job", "cancel_job", "delete_job"}
    assert "put_job" not in taken
    assert taken["redeliver"]["parameters"] == {"delivery_id": "$response.body#/id"}
    assert {*taken} <= {operation.id for operation in OPERATIONS}


def test_every_chapter_has_routes_and_every_route_a_chapter():
    assert {operation.tag for operation in OPERATIONS} == set(TAGS)


def test_the_parts_of_a_path_are_described():
    for operation in OPERATIONS:
        parts = {p.name for p in operation.parameters if p.where == "path"}

        assert parts == set(re.findall(r"\{(\w+)\}", operation.path)), operation.id


def test_every_field_of_every_object_is_known_by_its_description():
    untold = [
        f"{name}.{field}"
        for name, schema in DOCUMENT["components"]["schemas"].items()
        if name.endswith("Draft") or name == "ImageConfig"
        for field, told in schema["properties"].items()
        if "description" not in told
    ]

    assert untold == []


def examples() -> Iterator[Any]:
    for operation in OPERATIONS:
        if operation.body is not None:
            for shows, value in operation.body.examples.items():
                yield pytest.param(operation.body, value, id=f"{operation.id}-{shows}")


@pytest.mark.parametrize(("body", "value"), list(examples()))
def test_every_example_is_a_request_we_take(body: Body, value: dict[str, Any]):
    fields, images = dict(value), InputImages()
    if body.images is not Images.NONE:
        images.take_from(fields)

    read_fields(body.model, fields)

    assert images.uploads().images or body.images is not Images.NEEDED


def forms() -> Iterator[Any]:
    for operation in OPERATIONS:
        if operation.body is not None:
            for shows, value in operation.body.form_examples.items():
                yield pytest.param(operation.body, value, id=f"{operation.id}-{shows}")


@pytest.mark.parametrize(("body", "value"), list(forms()))
def test_every_example_of_a_form_is_one_too(body: Body, value: dict[str, str]):
    files = {name for name, text in value.items() if text.startswith("@")}
    fields = FormFields(most_bytes=1000)

    for name in value.keys() - files:
        fields.begin(name)
        fields.more(value[name].encode())
        fields.put()

    read_fields(body.model, fields.values, text=True)
    assert all(body.file if name == "file" else holds_image(name) for name in files)


def answers() -> Iterator[Any]:
    for operation in OPERATIONS:
        for status, answer in operation.answers.items():
            if answer.example is not None:
                yield pytest.param(operation, status, id=f"{operation.id}-{status}")


@pytest.mark.parametrize(("operation", "status"), list(answers()))
def test_every_example_is_an_answer_we_give(operation: Operation, status: int):
    raw = json.dumps(operation.answers[status].example).encode()

    told = WITNESS.check(operation.method, operation.path, status, JSON, raw)

    assert told


def objects(text: str) -> Iterator[Any]:
    """Every JSON object that stands in a text."""
    for start in re.finditer(r"\{", text):
        try:
            found, _ = json.JSONDecoder().raw_decode(text, start.start())
        except ValueError:
            continue
        yield found


def test_what_is_called_a_seeds_example_is_one():
    pages = sorted((ROOT / "tests" / "data" / "seeds").glob("*.txt"))
    seeds = [found for page in pages for found in objects(page.read_text())]
    called = [
        value
        for operation in OPERATIONS
        if operation.body is not None
        for shows, value in operation.body.examples.items()
        if re.match(r"rout\.my|MultiRoute|ImageRouter", shows)
    ]

    assert called
    assert [value for value in called if value not in seeds] == []


def rows(heading: str) -> dict[str, tuple[int, str]]:
    page = (ROOT / "docs" / "errors.md").read_text()
    section = page.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    found = re.findall(r"^\| `(\w+)` \| (\d{3}) \| (.*) \|$", section, re.MULTILINE)
    return {code: (int(status), text) for code, status, text in found}


@pytest.mark.parametrize(
    ("heading", "told"),
    [("Refused requests", REFUSED), ("What a job failed with", FAILED)],
)
def test_errors_mean_here_what_they_mean_on_their_page(heading: str, told: Any):
    assert rows(heading) == told


def test_the_yaml_says_the_same_as_the_json():
    read = yaml.load(WRITTEN.yaml.content, yaml.CSafeLoader)

    assert read == json.loads(WRITTEN.json.content)


@pytest.mark.parametrize(
    "value",
    [
        *(
            "",
            "no",
            "Yes",
            "null",
            "200",
            "1e3",
            "0x1f",
            "1_000",
            ".inf",
            "~",
            "<<",
            "=",
        ),
        *(
            "a: b",
            "- x",
            "# x",
            "x #y",
            "&a",
            "*a",
            "!t",
            "%d",
            "@x",
            "`x`",
            "{x",
            "[x",
        ),
        *(
            "2026-11-21",
            "1:30",
            "a.b",
            "/v1/x",
            "$ref",
            "ü",
            "😀",
            " x",
            "x ",
            "x:",
            "\\",
        ),
        *("a\nb", "a\n\n\nb", "a\n", "\na", "a\n  b", "  a\nb", "a\tb\nc", "a \nb"),
        *(
            [],
            {},
            [[]],
            [[1, [2]]],
            [{}],
            {"a": {}},
            [{"a": [{"b": None}]}],
            2**63,
            -0.5,
        ),
    ],
    ids=repr,
)
def test_yaml_brings_back_what_was_written(value: Any):
    document = {"value": value, "list": [value], "nested": {"200": [{"a": value}]}}

    assert yaml.safe_load(to_yaml(document)) == document


class Page(HTMLParser):
    """What stands in a page: tags, anchors, links and loads."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.anchors: list[str] = []
        self.links: set[str] = set()
        self.attributes: set[str] = set()
        self.style = self.text = ""
        self._tag = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._tag = tag
        self.tags.add(tag)
        for name, value in attrs:
            self.attributes.add(name)
            if name == "id":
                self.anchors.append(value or "")
            if name == "href":
                self.links.add(value or "")

    def handle_endtag(self, tag: str) -> None:
        self._tag = ""

    def handle_data(self, data: str) -> None:
        if self._tag == "style":
            self.style += data
        else:
            self.text += data


PAGE = Page(WRITTEN.page.content.decode())


def test_the_page_shows_every_route():
    shown = [o for o in OPERATIONS if o.id in PAGE.anchors and o.path in PAGE.text]

    assert shown == list(OPERATIONS)


def test_every_link_of_the_page_leads_within_it():
    assert {link.removeprefix("#") for link in PAGE.links} <= set(PAGE.anchors)
    assert len(set(PAGE.anchors)) == len(PAGE.anchors)


def test_the_page_runs_and_loads_nothing():
    assert PAGE.tags.isdisjoint({"script", "link", "img", "iframe", "form", "object"})
    assert not [name for name in PAGE.attributes if name.startswith("on")]
    assert "style" not in PAGE.attributes
    assert not re.search(r"url\(|@import", PAGE.style)


def test_the_page_admits_its_own_style_alone():
    digest = b64encode(hashlib.sha256(PAGE.style.encode()).digest()).decode()
    policy = WRITTEN.page.headers["Content-Security-Policy"]

    assert policy.startswith(f"default-src 'none'; style-src 'sha256-{digest}';")
