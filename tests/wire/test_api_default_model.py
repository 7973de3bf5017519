"""What a request without a model gets: SDKs of OpenAI let it out."""

import pytest

from service.api.app import make_app
from service.catalog_file import LiveCatalog
from service.settings import PACKAGED_CATALOG, ConfigurationError, Settings
from tests.fakes.door import front_door
from tests.fakes.forms import TYPE, form, picture
from tests.fakes.picture_host import PNG
from tests.fakes.worker import FakeWorker

ROUTES = ("/v1/images/generations", "/v1/openai/images/generations", "/v1/jobs")


@pytest.fixture
async def kind_door(shared_valkey, redis, tmp_path):
    """A front door whose operator named a model for those who name none."""
    async with front_door(
        shared_valkey.url, tmp_path, default_model="test/test"
    ) as door:
        yield door


@pytest.mark.parametrize("path", ROUTES)
@pytest.mark.parametrize("said", [{}, {"model": None}])
async def test_the_operators_model_stands_in(kind_door, redis, path, said):
    async with FakeWorker(redis, kind_door.images):
        answer = await kind_door.post(path, {"prompt": "a fox", **said})

    job = (await kind_door.get(answer.headers["Location"])).body
    assert answer.status in (200, 202)
    assert job["request"]["model"] == "test/test"


async def test_it_stands_in_for_a_form_too(kind_door):
    body = form(picture("image", PNG))

    answer = await kind_door.post(
        "/v1/images/variations",
        data=body,
        Content_Type=TYPE,
        Prefer="respond-async",
    )

    assert answer.body["request"]["model"] == "test/test"


async def test_a_model_that_is_named_wins(kind_door):
    ask = {"model": "openai/dall-e-3", "prompt": "a fox"}

    answer = await kind_door.post("/v1/jobs", ask)

    assert answer.body["request"]["model"] == "openai/dall-e-3"


@pytest.mark.parametrize("path", ROUTES)
async def test_where_the_operator_named_none_one_is_required(door, path):
    answer = await door.post(path, {"prompt": "a fox"})

    assert (answer.status, answer.code) == (400, "missing_field")
    assert answer.body["error"]["param"] == "model"


def test_a_default_that_the_catalog_does_not_know_stops_the_start():
    settings = Settings(default_model="no/such")

    with pytest.raises(ConfigurationError, match=r"DARKROOM_DEFAULT_MODEL.*no/such"):
        make_app(settings, LiveCatalog(PACKAGED_CATALOG))
