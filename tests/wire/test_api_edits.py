"""Edits and variations, from the caller's bytes to the provider's and back."""

import asyncio
import base64
import hashlib
from collections.abc import AsyncIterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageChops
from redis.asyncio import Redis

from tests.fakes.door import SECRET, FrontDoor, front_door
from tests.fakes.forms import BOUNDARY, TYPE, Part, form, picture
from tests.fakes.images import decoded, encoded, noise
from tests.fakes.openai_upstream import KEY, OpenAIUpstream
from tests.fakes.studio import studio
from tests.fakes.valkey import Valkey
from tests.fakes.worker import FakeWorker

EDITS, VARIATIONS = "/v1/images/edits", "/v1/images/variations"
GENERATIONS = "/v1/images/generations"
RED, BLUE = (250, 0, 0), (0, 0, 250)
CATALOG = """
[providers.up]
adapter = "openai"
base_url = "{base_url}"
api_key_env = "UPSTREAM_KEY"
[models."up/gpt"]
routes = ["up/gpt-image-1"]
features = ["generate", "edit", "mask"]
sizes = ["1024x1024"]
[models."up/dall-e"]
routes = ["up/dall-e-2"]
features = ["generate", "edit", "variation"]
sizes = ["256x256"]
"""


@pytest.fixture
async def working(door: FrontDoor) -> AsyncIterator[FrontDoor]:
    """A front door with a real worker behind it."""
    async with studio(door.settings):
        yield door


@pytest.fixture
async def upstream() -> AsyncIterator[OpenAIUpstream]:
    async with OpenAIUpstream() as running:
        yield running


@pytest.fixture
async def reselling(
    shared_valkey: Valkey,
    redis: Redis,
    tmp_path: Path,
    upstream: OpenAIUpstream,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[FrontDoor]:
    """A front door with a real worker that calls `upstream`."""
    monkeypatch.setenv("UPSTREAM_KEY", KEY)
    catalog = tmp_path / "catalog.toml"
    catalog.write_text(CATALOG.format(base_url=upstream.base_url))
    async with (
        front_door(shared_valkey.url, tmp_path, catalog_file=catalog) as door,
        studio(door.settings),
    ):
        yield door


async def post(door: FrontDoor, path: str, *parts: Part, **fields: str) -> Any:
    fields = {"model": "test/test", "response_format": "b64_json", **fields}
    body = BytesIO(form(*parts, **fields))
    return await door.post(path, data=body, Content_Type=TYPE)


async def made(door: FrontDoor, path: str, *parts: Part, **fields: str) -> Image.Image:
    answer = await post(door, path, *parts, **fields)
    assert answer.status == 200, answer.raw
    [image] = answer.body["data"]
    return decoded(base64.b64decode(image["b64_json"])).convert("RGB")


def plain(color: tuple[int, int, int], side: int = 64) -> bytes:
    return encoded(Image.new("RGB", (side, side), color), "PNG")


def mean(image: Image.Image) -> tuple[int, int, int]:
    return image.resize((1, 1), Image.Resampling.BOX).getpixel((0, 0))


async def test_an_edit_shows_what_it_began_with(working):
    fields = {"prompt": "a hat", "size": "64x64"}

    red = await made(working, EDITS, picture("image", plain(RED)), **fields)
    blue = await made(working, EDITS, picture("image", plain(BLUE)), **fields)

    assert mean(red)[0] > mean(blue)[0] + 100
    assert mean(blue)[2] > mean(red)[2] + 100


async def test_only_what_the_mask_leaves_open_changes(working):
    mask = Image.new("RGBA", (64, 64), "black")
    mask.paste((0, 0, 0, 0), (16, 8, 48, 24))

    edited = await made(
        working,
        EDITS,
        picture("image", plain(RED)),
        picture("mask", encoded(mask, "PNG")),
        prompt="a hat",
        size="64x64",
    )

    changed = ImageChops.difference(edited, Image.new("RGB", (64, 64), RED))
    assert changed.getbbox() == (16, 8, 48, 24)


async def test_a_mask_may_come_as_webp(working):
    hole = encoded(Image.new("RGBA", (64, 64)), "WEBP", lossless=True)

    edited = await made(
        working,
        EDITS,
        picture("image", plain(RED)),
        picture("mask", hole, "mask.webp"),
        prompt="a hat",
        size="64x64",
    )

    assert mean(edited) != RED


async def test_a_photo_held_sideways_is_set_upright(working):
    exif, photo = Image.Exif(), Image.new("RGB", (64, 32), RED)
    exif[0x0112] = 6  # its left side is to be on top
    photo.paste(BLUE, (0, 0, 32, 32))

    edited = await made(
        working,
        EDITS,
        picture("image", encoded(photo, "JPEG", exif=exif)),
        prompt="a hat",
        size="32x64",
    )

    top, bottom = edited.crop((0, 0, 32, 32)), edited.crop((0, 32, 32, 64))
    assert mean(top)[2] > mean(bottom)[2] + 50
    assert mean(bottom)[0] > mean(top)[0] + 50


async def test_a_variation_needs_no_words(working):
    varied = await made(working, VARIATIONS, picture("image", plain(RED)), size="64x64")

    assert mean(varied)[0] > mean(varied)[2]


@pytest.mark.parametrize(
    ("parts", "code", "param"),
    [
        ([], "missing_field", "image"),
        ([picture("image", plain(RED))] * 2, "too_many_images", "image"),
        (
            [picture("image", plain(RED)), picture("mask", plain(RED))],
            "incompatible_options",
            "mask",
        ),
    ],
)
async def test_a_variation_is_of_one_image(door, parts, code, param):
    answer = await post(door, VARIATIONS, *parts)

    assert (answer.status, answer.code) == (400, code)
    assert answer.body["error"]["param"] == param


async def test_the_provider_gets_all_images_in_order(reselling, upstream):
    photos = [
        encoded(noise(40 + i, 40), kind) for i, kind in enumerate(("PNG", "JPEG"))
    ]
    mask = encoded(Image.new("RGBA", (40, 40)), "PNG")

    answer = await post(
        reselling,
        EDITS,
        *[picture("image[]", photo) for photo in photos],
        picture("mask", mask),
        model="up/gpt",
        prompt="a hat",
    )

    assert answer.status == 200, answer.raw
    [files] = upstream.files
    shown = [(file.name, file.image.format, file.image.size) for file in files]
    assert shown == [
        ("image[]", "PNG", (40, 40)),
        ("image[]", "JPEG", (41, 40)),
        ("mask", "PNG", (40, 40)),
    ]
    job = f"jobs/{answer.headers['x-job-id']}/inputs"
    stored = [
        await reselling.images.get(f"{job}/{name}") for name in ("0", "1", "mask")
    ]
    assert [hashlib.sha256(data).hexdigest() for data in stored] == [
        file.sha256 for file in files
    ]


async def test_a_variation_is_bought_as_one(reselling, upstream):
    await made(reselling, VARIATIONS, picture("image", plain(RED)), model="up/dall-e")

    [fields] = upstream.requests
    assert "prompt" not in fields
    assert fields["model"] == "dall-e-2"


async def test_what_the_provider_refuses_is_the_callers_mistake(reselling):
    photo = encoded(noise(), "JPEG")

    answer = await post(
        reselling, EDITS, picture("image", photo), model="up/dall-e", prompt="a hat"
    )

    assert (answer.status, answer.code) == (400, "provider_invalid_request")


async def test_a_connection_cut_twice_buys_one_edit(reselling, upstream, redis):
    for count in range(2):
        _, writer = await asyncio.open_connection("127.0.0.1", reselling.port)
        writer.write(_retry(count))
        if count == 0:
            await upstream.called.wait()
        while not await _has_joined(redis, count):
            await asyncio.sleep(0.01)
        writer.close()

    answer = await _answer(reselling, _retry(2))

    assert b"HTTP/1.1 200 " in answer
    assert len(upstream.requests) == 1
    assert len(await reselling.images.list("jobs/")) == 3  # input, image and receipt


def _retry(count: int) -> bytes:
    """The call of an SDK that sent it so often before, with a boundary of its own."""
    boundary = f"boundary-{count}"
    body = form(picture("image", plain(RED)), model="up/gpt", prompt="a hat")
    body = body.replace(BOUNDARY.encode(), boundary.encode())
    lines = (
        f"POST {EDITS} HTTP/1.1",
        "Host: x",
        f"Authorization: Bearer {SECRET}",
        f"Content-Type: multipart/form-data; boundary={boundary}",
        f"Content-Length: {len(body)}",
        f"x-stainless-retry-count: {count}",
        "Connection: close",
    )
    return "\r\n".join((*lines, "", "")).encode() + body


async def _has_joined(redis: Redis, count: int) -> bool:
    """Whether a retry of that count is known to wait; an SDK sends none before."""
    calls = [await redis.hvals(key) for key in await redis.keys("darkroom:calls:*")]
    return any(call.endswith(f" {count}".encode()) for of in calls for call in of)


async def _answer(door: FrontDoor, request: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", door.port)
    writer.write(request)
    answer = await reader.read()
    writer.close()
    return answer


@pytest.mark.parametrize(
    ("path", "fields", "shape"),
    [
        (EDITS, {"model": "test/test"}, "b64_json"),
        (EDITS, {"model": "openai/gpt-image-1"}, "b64_json"),
        (EDITS, {"model": "multiroute-image-latest"}, "b64_json"),
        (EDITS, {"model": "openai/dall-e-2"}, "url"),
        (EDITS, {"model": "dall-e-2", "response_format": "b64_json"}, "b64_json"),
        (EDITS, {"model": "test/test", "response_format": "url"}, "url"),
        (VARIATIONS, {"model": "test/test"}, "url"),
        (GENERATIONS, {"model": "test/test"}, "url"),
    ],
)
async def test_an_edit_that_names_no_form_gets_what_sdks_read(
    door: FrontDoor, worker: FakeWorker, path: str, fields: dict[str, str], shape: str
):
    if path != VARIATIONS:
        fields = {**fields, "prompt": "a hat"}
    body = BytesIO(form(picture("image", plain(RED)), **fields))

    answer = await door.post(path, data=body, Content_Type=TYPE)

    assert answer.status == 200, answer.raw
    assert {"url", "b64_json"} & answer.body["data"][0].keys() == {shape}
