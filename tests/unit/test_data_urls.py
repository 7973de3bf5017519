"""Images taken out of JSON while it comes in."""

import asyncio
import base64
import contextlib
import itertools
import os
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.api.data_urls import DataUrls
from service.core.errors import InvalidRequest
from service.intake.spool import Held, Spool

KINDS = st.sampled_from(["png", "jpeg", "svg+xml", "x-any.thing", "PNG"])
CUTS = st.lists(st.integers(0, 400), max_size=10)


def url(data: bytes, kind: str = "png") -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


async def _read(body: bytes, cuts: list[int], most_bytes: int) -> Any:
    with contextlib.closing(Spool()) as spool:
        images = DataUrls(spool, most_bytes=most_bytes)
        edges = [0, *sorted(min(cut, len(body)) for cut in cuts), len(body)]
        for start, end in itertools.pairwise(edges):
            await images.feed(body[start:end])
        return await _bytes_of(images.finish())


async def _bytes_of(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: await _bytes_of(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [await _bytes_of(inner) for inner in value]
    return await value.read() if isinstance(value, Held) else value


def read(body: bytes | str, cuts: list[int] = (), *, most_bytes: int = 10**9) -> Any:
    """Return the object, with the bytes of images in their place."""
    data = body.encode() if isinstance(body, str) else body
    return asyncio.run(_read(data, list(cuts), most_bytes))


@given(st.binary(max_size=120), KINDS, CUTS, st.booleans())
def test_images_come_out_wherever_the_network_cuts(data, kind, cuts, slashes):
    body = orjson.dumps(
        {"image": url(data, kind), "more": [url(b"2"), {"url": url(b"")}]}
    )
    if slashes:
        body = body.replace(b"/", b"\\/")

    assert read(body, cuts) == {"image": data, "more": [b"2", {"url": b""}]}


@given(st.binary(max_size=60), CUTS)
@pytest.mark.parametrize(
    "head",
    [
        "image/png;name=a.png",
        "image/png;charset=utf-8",
        "image/jpeg;name=a%20b.jpg;size=5;x=" + "y" * 70,
        "application/octet-stream",
        "Application\\/Octet-Stream;name=größe.png",
    ],
)
def test_what_stands_before_the_bytes_says_nothing_about_them(head, data, cuts):
    encoded = base64.b64encode(data).decode()

    fields = read(f'{{"image":"data:{head};base64,{encoded}","n":1}}', cuts)

    assert fields == {"image": data, "n": 1}


@given(st.sampled_from(["", " ", "\n\t "]), CUTS)
@pytest.mark.parametrize("name", ["prompt", "user", "content", "", "größe", "a:"])
def test_only_fields_for_images_have_images(name, space, cuts):
    body = (
        f'{{"{name}"{space}:{space}"{url(b"1")}","mask"{space}:{space}"{url(b"2")}"}}'
    )

    assert read(body, cuts) == {name: url(b"1"), "mask": b"2"}


@given(st.text(max_size=60), CUTS)
def test_what_stands_within_a_text_stays_there(words, cuts):
    fields = {"prompt": f'{words}"{url(b"x")}" and \\"{url(b"y")}\\', "n": 1}

    assert read(orjson.dumps(fields), cuts) == fields


@given(st.dictionaries(st.text(), st.text() | st.integers(0, 9)), CUTS)
def test_objects_without_images_are_themselves(fields, cuts):
    assert read(orjson.dumps(fields), cuts) == fields


@given(st.binary(max_size=200), CUTS)
def test_garbage_is_refused_in_our_words(garbage, cuts):
    for start in (b"", b'{"image":"data:image/png;base64,'):
        with contextlib.suppress(InvalidRequest):
            read(start + garbage, cuts)


@pytest.mark.parametrize(
    "encoded",
    ["%%%", "A", "AA", "AAA", "AA=", "AA==AAAA", "====", "A-_=", "AAAA\\n", " "],
)
@pytest.mark.parametrize("cuts", [(), range(100)], ids=["whole", "in pieces"])
def test_what_is_not_base64_is_no_image(encoded, cuts):
    body = f'{{"image":"data:image/png;base64,{encoded}","n":1}}'

    assert read(body, cuts) == {"image": "data:", "n": 1}


@pytest.mark.parametrize(
    "text",
    [
        "data:text/html;base64,AAAA",
        "data:image/png,AAAA",
        "data:application/pdf;base64,AAAA",
        "data:image/png;" + "x" * 81 + ";base64,AAAA",
        " data:image/png;base64,AAAA",
        "data:image/" + "x" * 41 + ";base64,AAAA",
        "data:image",
        "",
    ],
)
def test_other_texts_are_left_alone(text):
    assert read(orjson.dumps({"image": text})) == {"image": text}


@pytest.mark.parametrize("end", ['"', "", '"}}', '"]'])
def test_a_text_cut_short_is_no_json(end):
    with pytest.raises(InvalidRequest) as refusal:
        read('{"image":"data:image/png;base64,AAAA' + end)

    assert refusal.value.code == "invalid_json"


@pytest.mark.parametrize(("size", "fits"), [(100_000, True), (100_001, False)])
def test_an_image_has_a_limit(size, fits):
    data = os.urandom(size)
    body = orjson.dumps({"mask": url(b"1"), "image": url(data)})

    if fits:
        assert read(body, most_bytes=100_000) == {"mask": b"1", "image": data}
        return
    with pytest.raises(InvalidRequest) as refusal:
        read(body, most_bytes=100_000)
    assert refusal.value.code == "file_too_large"


def test_nobody_can_guess_what_stands_for_an_image():
    body = orjson.dumps({"image": url(b"1"), "prompt": "0" * 32 + "0"})

    assert read(body)["prompt"] == "0" * 33
