"""A catalog that is exchanged while everybody works by it."""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import aiohttp
import pytest
from redis.asyncio import Redis

from service.catalog_file import LiveCatalog
from service.core.errors import CatalogError
from service.job_store import keys
from tests.fakes.door import FrontDoor, front_door
from tests.fakes.front_process import front_process
from tests.fakes.openai_upstream import KEY, OpenAIUpstream
from tests.fakes.studio import studio
from tests.fakes.valkey import Valkey

CATALOG = """
[providers.near]
adapter = "openai"
base_url = "{url}"
api_key_file = "{key}"
max_in_flight = {most}
[models.{name}]
routes = ["near/gpt-image-1"]
sizes = ["1024x1024"]
price_usd = {price}
"""


@pytest.fixture
def catalog(tmp_path: Path) -> Path:
    return tmp_path / "catalog.toml"


@pytest.fixture
def written(catalog: Path, tmp_path: Path) -> Callable[..., Path]:
    """Writes a catalog of one provider and one model."""
    key = tmp_path / "key"
    key.write_text(KEY)

    def write(name: str, url: str = "http://127.0.0.1:1", **numbers: float) -> Path:
        numbers = {"most": 3, "price": 0.04} | numbers
        catalog.write_text(CATALOG.format(name=name, url=url, key=key, **numbers))
        return catalog

    return write


@pytest.fixture
async def upstreams() -> AsyncIterator[tuple[OpenAIUpstream, OpenAIUpstream]]:
    async with (
        OpenAIUpstream(thumbnails=True) as old,
        OpenAIUpstream(thumbnails=True) as new,
    ):
        yield old, new


async def models(door: FrontDoor) -> list[str]:
    return [model["id"] for model in (await door.get("/v1/models")).body["data"]]


async def ended(door: FrontDoor, job: dict) -> dict:
    return (await door.get(f"/v1/jobs/{job['id']}?wait=20")).body


async def test_the_front_door_goes_by_the_new_catalog_from_the_next_request_on(
    shared_valkey: Valkey, redis: Redis, tmp_path: Path, written
):
    file = written("fox")
    async with front_door(
        shared_valkey.url, tmp_path, catalog_file=file, default_model="fox"
    ) as door:
        live = door.door.front.live
        accepted = await door.submit(model="fox")
        with file.open("a") as catalog:
            catalog.write("[models.owl]\nroutes = ['near/owl']\nsizes = ['8x8']\n")

        live.reload()

        assert await models(door) == ["fox", "owl"]
        for mistake in (lambda: file.write_text("nonsense"), lambda: written("hen")):
            mistake()  # the latter does not know the default model
            live.reload()
            assert await models(door) == ["fox", "owl"]
        assert (await door.get(f"/v1/jobs/{accepted['id']}")).status == 200


async def test_a_worker_ends_by_the_old_catalog_what_it_began_by_it(
    shared_valkey: Valkey, redis: Redis, tmp_path: Path, written, upstreams
):
    old, new = upstreams
    old.fail_with("hang_midway")
    live = LiveCatalog(written("fox", old.base_url, most=3))
    file = written("fox", old.base_url)
    async with (
        front_door(shared_valkey.url, tmp_path, catalog_file=file) as door,
        studio(door.settings, live),
    ):
        first = await door.submit(model="fox")
        await old.called.wait()
        written("fox", new.base_url, most=7, price=0.5)

        live.reload()
        async with asyncio.timeout(5):
            while await redis.hget(keys.gate("near"), "most") != b"7":
                await asyncio.sleep(0.01)

        second = await ended(door, await door.submit(model="fox"))
        shown = (await door.get(f"/v1/jobs/{first['id']}")).body
        assert (second["status"], second["cost"]) == ("succeeded", 0.5)
        assert (len(old.requests), len(new.requests)) == (1, 1)
        assert shown["status"] == "running"


async def test_a_worker_keeps_what_it_has_where_an_adapter_cannot_be_opened(
    shared_valkey: Valkey, redis: Redis, tmp_path: Path, written, upstreams
):
    old, _ = upstreams
    file = written("fox", old.base_url)
    live = LiveCatalog(file)
    async with (
        front_door(shared_valkey.url, tmp_path, catalog_file=file) as door,
        studio(door.settings, live),
    ):
        file.write_text(
            file.read_text().replace(
                'adapter = "openai"', 'adapter = "comfyui"\nworkflow_file = "/none"'
            )
        )

        live.reload()

        assert live.current.providers["near"].adapter == "openai"
        assert (await ended(door, await door.submit(model="fox")))["error"] is None


def test_a_wrong_catalog_stops_the_start(tmp_path: Path):
    (tmp_path / "catalog.toml").write_text("[models]")

    with pytest.raises(CatalogError, match="models: must name at least one"):
        LiveCatalog(tmp_path / "catalog.toml")


async def test_sighup_lets_a_front_door_read_its_catalog_anew(
    shared_valkey: Valkey, tmp_path: Path, written
):
    file = written("fox")
    async with front_process(
        shared_valkey.url,
        tmp_path,
        DARKROOM_CATALOG_FILE=str(file),
        DARKROOM_BOOTSTRAP_KEY="sk_preset_for_tests",
    ) as process:
        port = (await process.event("door.opened"))["port"]
        written("owl")
        process.signal(signal.SIGHUP)
        told = await process.event("catalog.reloaded")
        file.write_text("nonsense")
        process.signal(signal.SIGHUP)
        refused = await process.event("catalog.refused")

        async with aiohttp.ClientSession(
            headers={"X-API-Key": "sk_preset_for_tests"}
        ) as http:
            answer = await http.get(f"http://127.0.0.1:{port}/v1/models")
            listed = await answer.json()

    assert (told["providers"], told["models"]) == (1, 1)
    assert "is not TOML" in refused["reason"]
    assert [model["id"] for model in listed["data"]] == ["owl"]
