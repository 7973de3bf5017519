"""What a job starts from, on its way from the store to the provider."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from PIL import Image

from service.core.errors import ProviderRefused, StoreUnavailable
from service.core.requests import GenerationRequest, InputImage
from service.image_store.local import LocalImageStore
from service.imaging import Imaging
from tests.fakes.images import decoded, encoded
from tests.fakes.providers import ScriptedProvider
from workers.inputs import load_images, load_mask

MASK = encoded(Image.new("RGBA", (8, 4)), "PNG")
EDIT = GenerationRequest(model="fox/one", prompt="a hat", operation="edit")


def image(key: str) -> InputImage:
    return InputImage(
        key=key, sha256="0" * 64, width=1, height=1, content_type="image/png"
    )


class WhiteStyled(ScriptedProvider):
    """One that edits where a mask is white."""

    mask_style = "white"


class Forgetful:
    """A store that is away when it is first asked."""

    def __init__(self, store: LocalImageStore) -> None:
        self._store, self.asked = store, 0

    async def get(self, key: str) -> bytes | None:
        self.asked += 1
        if self.asked == 1:
            raise StoreUnavailable("away")
        return await self._store.get(key)


@pytest.fixture
async def imaging() -> AsyncIterator[Imaging]:
    opened = Imaging(processes=1)
    yield opened
    await opened.close()


@pytest.fixture
async def store(tmp_path: Path) -> LocalImageStore:
    opened = LocalImageStore(
        tmp_path,
        base_url="http://127.0.0.1",
        secret=b"s" * 32,
        lifetime=timedelta(hours=1),
    )
    for key in ("jobs/a/inputs/0", "jobs/a/inputs/1"):
        await opened.put(key, key.encode(), content_type="image/png")
    await opened.put("jobs/a/inputs/mask", MASK, content_type="image/png")
    return opened


REQUEST = replace(
    EDIT,
    images=(image("jobs/a/inputs/0"), image("jobs/a/inputs/1")),
    mask=image("jobs/a/inputs/mask"),
)


async def test_images_come_in_the_callers_order_with_their_mask(store, imaging):
    loaded = await load_images(store, REQUEST)
    mask = await load_mask(store, imaging, REQUEST, ScriptedProvider(picture=b""))

    assert [one.data for one in loaded] == [b"jobs/a/inputs/0", b"jobs/a/inputs/1"]
    assert mask.data == MASK


async def test_a_request_without_images_asks_the_store_for_nothing(store, imaging):
    counting = Forgetful(store)

    assert await load_images(counting, EDIT) == []
    assert (
        await load_mask(counting, imaging, EDIT, ScriptedProvider(picture=b"")) is None
    )
    assert counting.asked == 0


async def test_a_store_that_is_away_is_waited_for(store):
    loaded = await load_images(Forgetful(store), REQUEST)

    assert len(loaded) == 2


async def test_an_image_that_is_gone_fails_the_job(store):
    await store.delete("jobs/a/inputs/1")

    with pytest.raises(ProviderRefused) as refusal:
        await load_images(store, REQUEST)

    assert refusal.value.code == "input_missing"
    assert not refusal.value.billed


async def test_a_mask_is_drawn_the_way_its_provider_reads_masks(store, imaging):
    mask = await load_mask(store, imaging, REQUEST, WhiteStyled(picture=b""))

    image = decoded(mask.data)
    assert (image.size, image.getextrema()) == ((8, 4), (255, 255))
    assert mask.content_type == "image/png"


async def test_a_mask_that_broke_in_the_store_fails_the_job(store, imaging):
    await store.put("jobs/a/inputs/mask", MASK[:-20], content_type="image/png")

    with pytest.raises(ProviderRefused) as refusal:
        await load_mask(store, imaging, REQUEST, WhiteStyled(picture=b""))

    assert refusal.value.code == "input_missing"
