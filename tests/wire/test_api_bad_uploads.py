"""Forms and images that are refused: in our words, and without a trace."""

import asyncio
import base64
import zlib
from io import BytesIO
from json import dumps

import pytest
from PIL import Image
from redis.asyncio import Redis

from tests.fakes.door import SECRET, FrontDoor, front_door, raw
from tests.fakes.forms import TYPE, Part, form, picture
from tests.fakes.images import (
    PNG_START,
    bilevel_png,
    encoded,
    moving,
    noise,
    with_chunk,
    with_sides,
)

EDIT = {"model": "test/test", "prompt": "a hat"}
PNG = encoded(noise(64, 48), "PNG")
HOLE = encoded(Image.new("RGBA", (64, 48)), "PNG")
MIB = 1 << 20


async def is_untouched(door: FrontDoor, redis: Redis) -> bool:
    """Neither a job nor a byte of anybody's is there."""
    jobs = [key async for key in redis.scan_iter("darkroom:job:*")]
    return not jobs and not await door.images.list("jobs/")


@pytest.fixture(params=["/v1/images/edits", "/v1/jobs"])
def route(request: pytest.FixtureRequest) -> str:
    """Where images may come along."""
    return request.param


async def post(
    door: FrontDoor,
    body: bytes | dict[str, object],
    route: str = "/v1/images/edits",
    **headers: str,
):
    """Post a form, or an object in JSON, and wait for no image."""
    sent = {"Content_Type": TYPE, "Prefer": "respond-async", **headers}
    if isinstance(body, dict):
        body, sent = dumps(body).encode(), sent | {"Content_Type": "application/json"}
    return await door.post(route, data=BytesIO(body), **sent)


async def refused(
    door: FrontDoor,
    redis: Redis,
    body: bytes,
    route: str = "/v1/images/edits",
    **headers: str,
):
    """Post; return status, code and param of the refusal that it must be."""
    answer = await post(door, body, route, **headers)
    assert await is_untouched(door, redis)
    return answer.status, answer.code, answer.body["error"]["param"]


def edit(*parts: Part, **fields: str) -> bytes:
    return form(*parts, **{**EDIT, **fields})


@pytest.mark.parametrize(
    ("content_type", "status", "code"),
    [
        ("text/plain", 415, "unsupported_media_type"),
        ("multipart/mixed; boundary=x", 415, "unsupported_media_type"),
        ("application/x-www-form-urlencoded", 415, "unsupported_media_type"),
        ("multipart/form-data", 400, "invalid_multipart"),
        (f"multipart/form-data; boundary={'x' * 71}", 400, "invalid_multipart"),
        ("multipart/form-data; boundary=another", 400, "invalid_multipart"),
    ],
)
async def test_what_is_neither_a_form_nor_json(door, redis, content_type, status, code):
    body = edit(picture("image", PNG))

    got = await refused(door, redis, body, Content_Type=content_type)

    assert got == (status, code, None)


async def test_a_compressed_form(door, redis):
    body = zlib.compress(edit(picture("image", PNG)))

    got = await refused(door, redis, body, Content_Encoding="deflate")

    assert got == (415, "unsupported_encoding", None)


@pytest.mark.parametrize(
    "body",
    [
        form(picture("image", PNG), end=b"", **EDIT),
        form(picture("image", PNG), **EDIT)[: len(PNG) // 2],
        b"",
        edit(Part("image", PNG, "x", "multipart/mixed; boundary=y")),
        edit(Part("image", PNG, "x", more=("Content-Transfer-Encoding: base64",))),
        edit(Part("image", PNG, "x", more=("Content-Transfer-Encoding: xyz",))),
        edit(Part("image", PNG, "x", more=(f"A: {'x' * 9 * 1024}",))),
        edit(Part("image", PNG, "x", more=tuple(f"A{i}: b" for i in range(200)))),
    ],
    ids=["no end", "cut", "nothing", "nested", "base64", "xyz", "long", "many"],
)
async def test_a_form_that_is_malformed(door, redis, body, route):
    assert await refused(door, redis, body, route) == (400, "invalid_multipart", None)


IMAGE = picture("image", PNG)
MASK = picture("mask", HOLE)


@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        (edit(MASK), "missing_field", "image"),
        (edit(*[picture("image[]", PNG)] * 17), "too_many_images", "image"),
        (edit(IMAGE, MASK, MASK), "duplicate_field", "mask"),
        (edit(IMAGE, MASK, picture("mask[]", HOLE)), "duplicate_field", "mask"),
        (edit(IMAGE, picture("image", b"")), "empty_file", "image[1]"),
        (edit(*[picture("image[0]", PNG)] * 2), "duplicate_field", "image[0]"),
        (edit(picture("image[100]", PNG)), "unknown_field", "image[100]"),
        (edit(IMAGE, picture("images[][]", PNG)), "unknown_field", "images[][]"),
        (edit(IMAGE, Part("prompt", "again")), "duplicate_field", "prompt"),
        (edit(IMAGE, Part("prompt[a]", "again")), "duplicate_field", "prompt[a]"),
        (edit(IMAGE, Part("_charset_", "utf-16")), "unknown_field", "_charset_"),
        (edit(IMAGE, picture("photo", PNG)), "unknown_field", "photo"),
        (edit(IMAGE, n="two"), "invalid_n", "n"),
        (edit(IMAGE, n="0"), "invalid_n", "n"),
        (edit(IMAGE, n="1.5"), "invalid_n", "n"),
        (edit(IMAGE, strict="perhaps"), "wrong_type", "strict"),
        (edit(IMAGE, seed=str(2**63)), "out_of_range", "seed"),
        (edit(IMAGE, quality="best"), "invalid_enum", "quality"),
        (edit(IMAGE, prompt="a\x00b"), "invalid_text", "prompt"),
        (edit(IMAGE, Part("user", b"\xff")), "invalid_encoding", "user"),
        (edit(Part("image", "/etc/passwd")), "invalid_url", "image"),
        (edit(Part("image", "file:///etc/passwd")), "invalid_url", "image"),
    ],
)
async def test_fields_of_a_form(door, redis, body, code, param, route):
    assert await refused(door, redis, body, route) == (400, code, param)


@pytest.mark.parametrize(("parts", "code"), [(65, "too_many_parts"), (64, None)])
async def test_a_form_has_at_most_64_parts(door, redis, parts, code):
    more = {f"metadata[{i}]": "x" for i in range(parts - 3)}
    body = edit(IMAGE, **more)

    answer = await post(door, body, "/v1/jobs")

    # Sixty pairs are too many for metadata, which only a form that is whole is told.
    assert answer.code == (code or "invalid_metadata")
    assert await is_untouched(door, redis)


@pytest.mark.parametrize("body", [edit(), EDIT], ids=["form", "json"])
async def test_an_edit_without_an_image(door, redis, body):
    assert await refused(door, redis, body) == (400, "missing_field", "image")


def masked(mask: bytes, image: bytes = PNG) -> bytes:
    return edit(picture("image", image), picture("mask", mask))


@pytest.mark.parametrize(
    ("mask", "code"),
    [
        (encoded(Image.new("RGBA", (64, 49)), "PNG"), "mask_size_mismatch"),
        (encoded(noise(64, 48), "PNG"), "invalid_mask"),
        (encoded(noise(64, 48), "JPEG"), "invalid_mask"),
        (encoded(noise(64, 48), "BMP"), "invalid_mask"),
        (HOLE[:-10], "invalid_image"),
    ],
    ids=["size", "opaque", "jpeg", "bmp", "half"],
)
async def test_a_mask_that_is_none(door, redis, mask, code, route):
    assert await refused(door, redis, masked(mask), route) == (400, code, "mask")


async def test_a_model_that_edits_nothing(door, redis):
    body = edit(IMAGE, MASK, model="openai/dall-e-3")

    assert await refused(door, redis, body) == (400, "unsupported_operation", "model")


def foreign(image_format: str, mode: str = "RGB") -> bytes:
    return encoded(noise(16, 16, mode), image_format)


@pytest.mark.parametrize(
    "data",
    [
        b"<svg xmlns='http://www.w3.org/2000/svg'><script/></svg>",
        foreign("GIF", "L"),
        foreign("BMP"),
        foreign("TIFF"),
        foreign("EPS"),
        foreign("PDF"),
        foreign("ICO"),
        b"8BPS\x00\x01" + bytes(100),
        b"SIMPLE  =                    T" + bytes(2880),
        b"\x00\x00\x00\x1cftypavif" + bytes(100),
        b"<html>not an image</html>",
        b"\x00",
    ],
    ids=lambda data: repr(data[:8]),
)
async def test_formats_that_are_not_taken(door, redis, data):
    got = await refused(door, redis, edit(picture("image", data)))

    assert got == (400, "unsupported_image", "image")


def bomb(kind: bytes, start: bytes) -> bytes:
    return with_chunk(PNG, kind, start + zlib.compress(bytes(64 * MIB), 9))


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (bilevel_png(13_000, 13_000), "image_too_large"),
        (with_sides(PNG, 2**31, 1), "invalid_image"),
        (with_sides(PNG, 0, 0), "invalid_image"),
        (PNG[:40] + b"\xff" + PNG[41:], "invalid_image"),
        (moving("GIF", 301), "animated_image"),
        (moving("WEBP", 301), "animated_image"),
        (moving("PNG", 301), "animated_image"),
        (PNG[: len(PNG) // 2], "invalid_image"),
        (encoded(noise(64, 48), "JPEG")[:1000], "invalid_image"),
        (encoded(noise(64, 48), "WEBP")[:1000], "invalid_image"),
        (bomb(b"zTXt", b"a\x00\x00"), "invalid_image"),
        (bomb(b"iCCP", b"a\x00\x00"), "invalid_image"),
        (PNG_START, "invalid_image"),
    ],
    ids=lambda value: repr(value)[:20],
)
async def test_images_that_are_damaged_or_dangerous(door, redis, data, code):
    got = await refused(door, redis, edit(IMAGE, picture("image", data)))

    assert got == (400, code, "image[1]")


def json_edit(**fields: object) -> dict[str, object]:
    return {**EDIT, **fields}


def data_url(data: bytes, kind: str = "image/png") -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


@pytest.mark.parametrize(
    ("fields", "code", "param"),
    [
        ({"mask": data_url(HOLE)}, "missing_field", "image"),
        ({"image": ""}, "invalid_url", "image"),
        ({"image": "data:image/png;base64,%%%"}, "invalid_url", "image"),
        ({"image": "data:image/png;base64,AAA"}, "invalid_url", "image"),
        ({"image": "data:image/png,AAAA"}, "invalid_url", "image"),
        ({"image": data_url(b"<html>", "text/html")}, "invalid_url", "image"),
        ({"image": data_url(b"")}, "empty_file", "image"),
        ({"image": base64.b64encode(PNG).decode()}, "invalid_url", "image"),
        ({"image": 1}, "wrong_type", "image"),
        ({"image": {"file_id": "file-1"}}, "wrong_type", "image"),
        ({"images": [data_url(PNG), []]}, "wrong_type", "images[1]"),
        ({"images": [data_url(PNG)] * 17}, "too_many_images", "images"),
        (
            {"image": data_url(PNG), "mask": [data_url(HOLE)] * 2},
            "duplicate_field",
            "mask",
        ),
        ({"image": data_url(b"<svg/>", "image/svg+xml")}, "unsupported_image", "image"),
        (
            {"image": data_url(b"<html>", "application/octet-stream")},
            "unsupported_image",
            "image",
        ),
    ],
)
async def test_images_in_json(door, redis, fields, code, param, route):
    answer = await post(door, json_edit(**fields), route)

    assert (answer.status, answer.code) == (400, code)
    assert answer.body["error"]["param"] == param
    assert await is_untouched(door, redis)


def padded(data: bytes, size: int) -> bytes:
    return data + bytes(size - len(data))


@pytest.mark.parametrize("excess", [0, 1])
async def test_a_file_has_at_most_20_mebibytes(door, redis, excess):
    body = edit(picture("image", padded(PNG, 20 * MIB + excess)))

    answer = await post(door, body)

    if excess:
        assert (answer.status, answer.code) == (413, "file_too_large")
        assert await is_untouched(door, redis)
    else:
        assert answer.status == 202


@pytest.mark.parametrize("excess", [0, 1])
async def test_a_data_url_has_at_most_20_mebibytes(door, redis, excess):
    image = data_url(padded(PNG, 20 * MIB + excess))

    answer = await post(door, json_edit(image=image))

    if excess:
        assert (answer.status, answer.code) == (413, "file_too_large")
        assert await is_untouched(door, redis)
    else:
        assert answer.status == 202


@pytest.mark.parametrize("excess", [0, 1])
async def test_a_form_has_at_most_64_mebibytes(door, redis, excess):
    whole = edit(*[picture("image[]", padded(PNG, 20 * MIB))] * 3)
    more = 64 * MIB + excess - len(whole) - len(picture("image[]", b"").encoded())
    fourth = picture("image[]", padded(PNG, more))
    body = edit(*[picture("image[]", padded(PNG, 20 * MIB))] * 3, fourth)
    assert len(body) == 64 * MIB + excess

    answer = await post(door, body)

    if excess:
        assert (answer.status, answer.code) == (413, "body_too_large")
        assert await is_untouched(door, redis)
    else:
        assert answer.status == 202


@pytest.mark.parametrize("excess", [0, 1])
async def test_json_beside_its_images_keeps_its_own_limit(door, redis, excess):
    def text(words: int) -> str:
        return (
            f'{{"model":"test/test","image":"{data_url(PNG)}","user":"{"u" * words}"}}'
        )

    most = door.settings.limits.json_bytes + len(data_url(PNG))
    body = text(most - len(text(0)) + excess)

    answer = await post(
        door, body.encode(), "/v1/jobs", Content_Type="application/json"
    )

    expected = "body_too_large" if excess else "out_of_range"
    assert answer.code == expected
    assert await is_untouched(door, redis)


@pytest.mark.parametrize("excess", [0, 1])
async def test_the_text_of_a_form_has_the_limit_of_json(door, redis, excess):
    length = door.settings.limits.json_bytes - sum(len(text) for text in EDIT.values())
    body = edit(IMAGE, user="u" * (length + excess))

    answer = await post(door, body)

    assert answer.code == ("body_too_large" if excess else "out_of_range")


def head(length: int | None, content_type: str = TYPE) -> bytes:
    size = (
        "Transfer-Encoding: chunked" if length is None else f"Content-Length: {length}"
    )
    lines = (
        "POST /v1/images/edits HTTP/1.1",
        "Prefer: respond-async",
        "Host: x",
        f"Authorization: Bearer {SECRET}",
        f"Content-Type: {content_type}",
        size,
    )
    return "\r\n".join((*lines, "", "")).encode()


def chunked(data: bytes) -> bytes:
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


MANY = b"".join(Part(f"a{i}", "x").encoded() for i in range(5000))


@pytest.mark.parametrize(
    ("request_", "status", "code"),
    [
        (head(100) + b"--", 408, "body_timeout"),
        (head(None) + chunked(edit(IMAGE)[:-4]), 408, "body_timeout"),
        (head(70 * MIB) + b"--", 413, "body_too_large"),
        (head(70 * MIB, "application/json") + b"{", 413, "body_too_large"),
        (head(60 * MIB) + MANY, 400, "too_many_parts"),
        (head(None) + chunked(MANY), 400, "too_many_parts"),
        (
            head(60 * MIB) + edit(Part("image", PNG, more=("x" * 9000,))),
            400,
            "invalid_multipart",
        ),
        (
            head(None, "application/json") + chunked(b'{"prompt":"' + b"x" * 300_000),
            413,
            "body_too_large",
        ),
        (
            head(None, "application/json")
            + chunked(b'{"image":"data:image/png;base64,'),
            408,
            "body_timeout",
        ),
    ],
)
async def test_what_is_not_read_to_its_end_closes_the_connection(
    door, redis, request_, status, code
):
    got, answer = await raw(door.port, request_, to_end=True)

    assert got == status
    assert f'"code":"{code}"'.encode() in answer
    assert await is_untouched(door, redis)


async def test_a_long_body_may_take_longer(shared_valkey, redis, tmp_path):
    limits = {"body_s": 0.2, "upload_s": 5, "json_bytes": 1024}
    async with front_door(shared_valkey.url, tmp_path, limits=limits) as door:
        body = edit(IMAGE)
        reader, writer = await asyncio.open_connection("127.0.0.1", door.port)
        writer.write(head(len(body)) + body[:-100])
        await asyncio.sleep(0.4)
        writer.write(body[-100:])

        assert b" 202 " in await reader.readline()
        writer.close()
