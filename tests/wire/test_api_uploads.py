"""Images that come along with a request: what is taken, and what becomes of it."""

import base64

import pytest
from PIL import Image

from tests.fakes.door import FrontDoor
from tests.fakes.forms import TYPE, Part, form, picture
from tests.fakes.images import decoded, encoded, noise, with_chunk

EDIT = {"model": "test/test", "prompt": "a hat", "operation": "edit"}
PNG = encoded(noise(64, 48), "PNG")
HOLE = encoded(Image.new("RGBA", (64, 48)), "PNG")


async def post_form(door: FrontDoor, *parts: Part, **fields: str):
    body = form(*parts, **{**EDIT, **fields})
    return await door.post("/v1/jobs", data=body, Content_Type=TYPE)


async def post_json(door: FrontDoor, **fields: object):
    return await door.post("/v1/jobs", {**EDIT, **fields})


def data_url(data: bytes, kind: str = "image/png") -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


async def record(door: FrontDoor, job_id: str):
    return await door.door.front.backends.jobs.get(job_id, account="default")


async def test_a_form_becomes_a_job_with_its_images_in_the_store(door):
    jpeg = encoded(noise(32, 32), "JPEG")

    answer = await post_form(
        door,
        picture("image[]", PNG),
        picture("image[]", jpeg, "y.jpg"),
        picture("mask", HOLE),
        n="2",
        size="128x128",
    )

    assert answer.status == 202
    request = (await record(door, answer.body["id"])).request
    assert (request.operation, request.n, request.size) == ("edit", 2, "128x128")
    kinds = [(one.content_type, one.width, one.height) for one in request.images]
    assert kinds == [("image/png", 64, 48), ("image/jpeg", 32, 32)]
    stored = [await door.images.get(image.key) for image in request.images]
    assert decoded(stored[0]).tobytes() == decoded(PNG).tobytes()
    assert decoded(stored[1]).format == "JPEG"
    assert request.mask.key == f"jobs/{answer.body['id']}/inputs/mask"


@pytest.mark.parametrize(
    "fields",
    [
        {"image": data_url(PNG)},
        {"image": [data_url(PNG)]},
        {"images": [data_url(PNG)]},
        {"images[]": [{"image_url": data_url(PNG)}]},
        {"image[]": {"image_url": {"url": data_url(PNG)}}},
        {"image": data_url(PNG, "application/octet-stream")},
        {"images": [{"url": data_url(PNG, "image/x-anything;name=x.png")}]},
    ],
)
async def test_json_carries_images_as_data_urls(door, fields):
    answer = await post_json(door, **fields)

    assert answer.status == 202, answer.raw
    [image] = (await record(door, answer.body["id"])).request.images
    assert (image.width, image.height) == (64, 48)


async def test_prompt_may_be_a_data_url(door):
    answer = await post_json(door, image=data_url(PNG), prompt=data_url(b"x"))

    assert answer.status == 202, answer.raw
    request = (await record(door, answer.body["id"])).request
    assert request.prompt == data_url(b"x")


@pytest.mark.parametrize("name", ["image", "images"])
async def test_items_of_a_list_may_be_numbered(door, name):
    small, large = encoded(noise(16, 16), "PNG"), encoded(noise(32, 32), "PNG")

    answer = await post_form(
        door,
        picture(f"{name}[1]", large),
        picture(f"{name}[0]", small),
        picture(f"{name}[10]", PNG),
    )

    assert answer.status == 202, answer.raw
    images = (await record(door, answer.body["id"])).request.images
    assert [image.width for image in images] == [16, 32, 64]


async def test_a_form_may_call_its_text_bytes(door):
    answer = await post_form(
        door,
        Part("image", PNG, content_type="image/png"),
        Part("user", "fox", content_type="application/octet-stream"),
    )

    assert answer.status == 202, answer.raw
    request = (await record(door, answer.body["id"])).request
    assert (request.user, len(request.images)) == ("fox", 1)


async def test_slashes_that_php_escapes_are_slashes(door):
    body = '{"model":"test\\/test","prompt":"x","image":"%s"}'
    url = data_url(PNG).replace("/", "\\/")

    answer = await door.post(
        "/v1/jobs", data=body % url, Content_Type="application/json"
    )

    assert answer.status == 202, answer.raw


async def test_numbers_and_truths_of_a_form_come_as_text(door):
    answer = await post_form(door, picture("image", PNG), seed="7", strict="false")

    assert answer.status == 202
    assert (await record(door, answer.body["id"])).request.seed == 7


async def test_a_form_may_hold_an_object(door):
    fields = {"image_config[aspect_ratio]": "16:9", "metadata[team]": "fox"}

    answer = await post_form(door, picture("image", PNG), **fields)

    assert answer.status == 202, answer.raw
    job = await record(door, answer.body["id"])
    assert job.metadata == {"team": "fox"}
    assert job.request.width > job.request.height


async def test_a_form_without_images_is_a_plain_job(door):
    body = form(model="test/test", prompt="größer 🦊")

    answer = await door.post("/v1/jobs", data=body, Content_Type=TYPE)

    assert (await record(door, answer.body["id"])).request.prompt == "größer 🦊"


@pytest.mark.parametrize(
    "filename",
    ["../../etc/passwd", "a\x00b.png", "x" * 5000, "\u202egnp.exe", "", "C:\\a.png;"],
)
async def test_the_name_of_a_file_is_ignored(door, filename):
    answer = await post_form(door, picture("image", PNG, filename))

    assert answer.status == 202
    names = await door.images.list(f"jobs/{answer.body['id']}/")
    assert names == [f"jobs/{answer.body['id']}/inputs/0"]


async def test_bytes_count_and_not_what_a_header_says_of_them(door):
    lying = Part("image", encoded(noise(8, 8), "JPEG"), "x.png", "image/png")

    answer = await post_form(door, lying)

    [image] = (await record(door, answer.body["id"])).request.images
    assert image.content_type == "image/jpeg"


def rotated() -> bytes:
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "where I live"
    return encoded(noise(64, 48), "JPEG", exif=exif)


@pytest.mark.parametrize(
    ("data", "size"),
    [
        (rotated(), (48, 64)),
        (encoded(noise(64, 48, "CMYK"), "JPEG"), (64, 48)),
        (encoded(noise(64, 48).convert("P"), "PNG"), (64, 48)),
        (encoded(Image.new("I;16", (64, 48)), "PNG"), (64, 48)),
        (PNG + b"<html><script>alert(1)</script>", (64, 48)),
        (with_chunk(PNG, b"tEXt", b"Comment\0where I live"), (64, 48)),
    ],
    ids=["rotated", "cmyk", "palette", "16 bit", "polyglot", "text"],
)
async def test_images_are_made_plain_and_harmless(door, data, size):
    answer = await post_form(door, picture("image", data))

    assert answer.status == 202, answer.raw
    stored = await door.images.get(f"jobs/{answer.body['id']}/inputs/0")
    image = decoded(stored)
    assert image.size == size
    assert image.mode in {"RGB", "RGBA"}
    assert not image.getexif()
    assert b"script" not in stored
    assert b"where I live" not in stored


async def test_deleting_the_job_deletes_its_images(door):
    answer = await post_form(door, picture("image", PNG))

    await door.call("DELETE", f"/v1/jobs/{answer.body['id']}")

    assert await door.images.list("jobs/") == []
