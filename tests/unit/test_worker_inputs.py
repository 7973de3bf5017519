"""What a job starts from, on its way from the store to the provider."""

import asyncio
import contextlib
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
from workers.inputs import Inputs, Loaded

MASK = encoded(Image.new("RGBA", (8, 4)), "PNG")
EDIT = GenerationRequest(model="fox/one", prompt="a hat", operation="edit")


def image(key: str, size_bytes: int = 10) -> InputImage:
    return InputImage(
        key=key,
        sha256="0" * 64,
        width=1,
        height=1,
        content_type="image/png",
        size_bytes=size_bytes,
    )


REQUEST = replace(
    EDIT,
    images=(image("jobs/a/inputs/0"), image("jobs/a/inputs/1")),
    mask=image("jobs/a/inputs/mask"),
)


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
    pool = Imaging(processes=1)
    yield pool
    await pool.close()


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


@pytest.fixture
def inputs(store, imaging) -> Inputs:
    return Inputs(store, imaging, most_bytes=100)


class Attempt:
    """An attempt that holds its images until it is let go."""

    def __init__(self, inputs: Inputs, size_bytes: int) -> None:
        self.begun, self._let_go = asyncio.Event(), asyncio.Event()
        request = replace(EDIT, images=(image("jobs/a/inputs/0", size_bytes),))
        self.task = asyncio.create_task(self._run(inputs, request))

    async def _run(self, inputs: Inputs, request: GenerationRequest) -> None:
        async with inputs.of(request):
            self.begun.set()
            await self._let_go.wait()

    async def begins(self) -> None:
        async with asyncio.timeout(5):
            await self.begun.wait()

    async def end(self) -> None:
        self._let_go.set()
        await self.task


async def a_while() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_images_come_in_the_callers_order_with_their_mask(inputs):
    async with inputs.of(REQUEST) as loaded:
        datas = [one.data for one in loaded.images]

    assert datas == [b"jobs/a/inputs/0", b"jobs/a/inputs/1"]
    assert loaded.mask.data == MASK


async def test_a_request_without_images_asks_the_store_for_nothing(store, imaging):
    counting = Forgetful(store)

    async with Inputs(counting, imaging, most_bytes=0).of(EDIT) as loaded:
        assert loaded == Loaded()

    assert counting.asked == 0


async def test_a_store_that_is_away_is_waited_for(store, imaging):
    async with Inputs(Forgetful(store), imaging, most_bytes=100).of(REQUEST) as loaded:
        assert len(loaded.images) == 2


async def test_an_image_that_is_gone_fails_the_job(store, inputs):
    await store.delete("jobs/a/inputs/1")

    with pytest.raises(ProviderRefused) as refusal:
        async with inputs.of(REQUEST):
            pass

    assert refusal.value.code == "input_missing"
    assert not refusal.value.billed


async def test_who_finds_no_room_waits_until_somebody_ends(inputs):
    first, second = Attempt(inputs, 60), Attempt(inputs, 40)
    await first.begins()
    await second.begins()
    third = Attempt(inputs, 60)
    await a_while()
    assert not third.begun.is_set()

    await second.end()
    await a_while()
    assert not third.begun.is_set()
    await first.end()

    await third.begins()
    await third.end()


async def test_what_is_larger_than_all_room_goes_alone(inputs):
    giant = Attempt(inputs, 101)
    await giant.begins()
    other = Attempt(inputs, 1)
    await a_while()
    assert not other.begun.is_set()

    await giant.end()

    await other.begins()
    await other.end()


async def test_the_small_do_not_pass_the_large_by(inputs):
    first = Attempt(inputs, 1)
    await first.begins()
    giant = Attempt(inputs, 200)
    await a_while()
    small = Attempt(inputs, 1)
    await a_while()
    begun = [(giant.begun.is_set(), small.begun.is_set())]

    for ending, next_one in ((first, giant), (giant, small)):
        await ending.end()
        await next_one.begins()
        begun.append((giant.begun.is_set(), small.begun.is_set()))

    assert begun == [(False, False), (True, False), (True, True)]
    await small.end()


async def test_an_attempt_that_is_given_up_leaves_its_room(store, inputs):
    first = Attempt(inputs, 100)
    await first.begins()
    waiting = Attempt(inputs, 100)
    await a_while()

    for attempt in (waiting, first):
        attempt.task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await attempt.task

    last = Attempt(inputs, 100)
    await last.begins()
    assert not waiting.begun.is_set()
    await last.end()


async def test_a_failed_load_leaves_its_room(store, inputs):
    await store.delete("jobs/a/inputs/0")
    with pytest.raises(ProviderRefused):
        async with inputs.of(replace(EDIT, images=(image("jobs/a/inputs/0", 100),))):
            pass

    other = replace(EDIT, images=(image("jobs/a/inputs/1", 100),))
    async with asyncio.timeout(5), inputs.of(other) as loaded:
        assert len(loaded.images) == 1


async def test_a_mask_is_drawn_the_way_its_provider_reads_masks(inputs):
    async with inputs.of(REQUEST, mask_style="white") as loaded:
        mask = loaded.mask

    image = decoded(mask.data)
    assert (image.size, image.getextrema()) == ((8, 4), (255, 255))
    assert mask.content_type == "image/png"


async def test_a_mask_that_broke_in_the_store_fails_the_job(store, inputs):
    await store.put("jobs/a/inputs/mask", MASK[:-20], content_type="image/png")

    with pytest.raises(ProviderRefused) as refusal:
        async with inputs.of(REQUEST, mask_style="white"):
            pass

    assert refusal.value.code == "input_missing"
