"""Bodies at their limits, which are taken; what is beyond, `test_bad_input` sends."""

import asyncio
from io import BytesIO
from json import dumps

import pytest

from tests.fakes.door import SECRET, FrontDoor, front_door
from tests.fakes.forms import TYPE, picture
from tests.wire.bad_input.cases import ASYNC, EDIT, EDITS, JOBS, edit, request
from tests.wire.bad_input.forms import IMAGE, MIB, PNG, form_of, padded
from tests.wire.bad_input.references import data_url

FROM_FORM = {"Content_Type": TYPE, "Prefer": "respond-async"}


@pytest.mark.parametrize(
    "body",
    [edit(picture("image", padded(20 * MIB))), form_of(64 * MIB)],
    ids=["a file of 20 MiB", "a form of 64 MiB"],
)
async def test_largest_form_is_taken(door: FrontDoor, body: bytes):
    answer = await door.post(EDITS, data=BytesIO(body), **FROM_FORM)

    assert answer.status == 202, answer.raw


async def test_largest_data_url_is_taken(door: FrontDoor):
    wanted = dumps({**EDIT, "image": data_url(padded(20 * MIB))}).encode()

    answer = await door.post(
        EDITS,
        data=BytesIO(wanted),
        Content_Type="application/json",
        Prefer="respond-async",
    )

    assert answer.status == 202, answer.raw


@pytest.mark.parametrize(("parts", "code"), [(64, "invalid_metadata"), (65, None)])
async def test_form_of_64_parts_is_read_to_its_end(
    door: FrontDoor, parts: int, code: str | None
):
    more = {f"metadata[{i}]": "x" for i in range(parts - 3)}

    answer = await door.post(JOBS, data=edit(IMAGE, **more), **FROM_FORM)

    # Sixty pairs are too many for metadata, which only a form that is whole is told.
    assert answer.code == (code or "too_many_parts")


@pytest.mark.parametrize(
    ("excess", "code"), [(0, "out_of_range"), (1, "body_too_large")]
)
async def test_json_beside_its_images_keeps_its_own_limit(
    door: FrontDoor, excess: int, code: str
):
    def text(words: int) -> str:
        user = "u" * words
        return f'{{"model":"test/test","image":"{data_url(PNG)}","user":"{user}"}}'

    most = door.settings.limits.json_bytes + len(data_url(PNG))
    body = text(most - len(text(0)) + excess)

    answer = await door.post(JOBS, data=body, Content_Type="application/json")

    assert answer.code == code  # of the user's name: it is read, and too long


@pytest.mark.parametrize(
    ("excess", "code"), [(0, "out_of_range"), (1, "body_too_large")]
)
async def test_text_of_a_form_has_the_limit_of_json(
    door: FrontDoor, excess: int, code: str
):
    length = door.settings.limits.json_bytes - sum(map(len, EDIT.values()))

    answer = await door.post(
        EDITS, data=edit(IMAGE, user="u" * (length + excess)), **FROM_FORM
    )

    assert answer.code == code


async def test_long_body_may_take_longer(shared_valkey, redis, tmp_path):
    limits = {"body_s": 0.2, "upload_s": 5, "json_bytes": 1024}
    async with front_door(shared_valkey.url, tmp_path, limits=limits) as door:
        sent = request(
            "POST", EDITS, ASYNC, f"Content-Type: {TYPE}", key=SECRET, body=edit(IMAGE)
        )
        reader, writer = await asyncio.open_connection("127.0.0.1", door.port)
        writer.write(sent[:-100])
        await asyncio.sleep(0.4)  # what is waited for is that time passes
        writer.write(sent[-100:])

        assert b" 202 " in await reader.readline()
        writer.close()


@pytest.mark.parametrize(
    "content_type",
    ["application/json;charset=UTF-8", 'application/json; charset="utf-8"'],
)
async def test_utf_8_may_be_said_in_many_ways(door: FrontDoor, content_type: str):
    wanted = {"model": "test/test", "prompt": "a fox"}

    answer = await door.post(JOBS, wanted, Content_Type=content_type)

    assert answer.status == 202


async def test_harmless_defaults_of_clients_are_taken(door: FrontDoor):
    fields = {
        "model": "test/test",
        "prompt": "a fox",
        "n": None,
        "size": "auto",
        "quality": "auto",
        "stream": False,
        "partial_images": 0,
        "output_compression": 100,
        "style": None,
        "user": None,
        "async": True,
    }

    answer = await door.post("/v1/images/generations", fields)

    assert answer.status == 202
