"""What may stand in a line of a batch, and what is said of a line that is wrong."""

import base64
import contextlib
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.api.batch_lines import EDITS, JOBS, BatchLines
from service.core.errors import InvalidRequest
from service.intake.spool import Spool
from service.settings import Limits

GENERATIONS = "/v1/images/generations"
LINES = BatchLines(Limits(), default_model="usual")
CALL = {"custom_id": "x", "method": "POST", "url": GENERATIONS, "body": {"prompt": "a"}}


def read(line: Any, *, endpoint: str = GENERATIONS, model: str | None = None):
    data = line if isinstance(line, bytes) else orjson.dumps(line)
    return LINES.read(data, endpoint=endpoint, model=model)


async def drafted(body: dict[str, Any], *, endpoint: str = GENERATIONS):
    return await LINES.draft(body, endpoint=endpoint, spool=Spool())


@pytest.mark.parametrize(
    ("line", "code", "param"),
    [
        (b"{", "invalid_json", None),
        (b"5", "body_not_object", None),
        (b'{"a": 1, "a": 2}', "duplicate_key", None),
        (b"\xff", "invalid_encoding", None),
        ({**CALL, "custom_id": ""}, "out_of_range", "custom_id"),
        ({**CALL, "custom_id": "x" * 257}, "out_of_range", "custom_id"),
        ({**CALL, "custom_id": 5}, "wrong_type", "custom_id"),
        ({**CALL, "method": "GET"}, "invalid_enum", "method"),
        ({**CALL, "url": EDITS}, "invalid_enum", "url"),
        ({**CALL, "body": []}, "wrong_type", "body"),
        ({**CALL, "more": 1}, "unknown_field", "more"),
        ({"custom_id": "x"}, "missing_field", "method"),
    ],
)
def test_a_call_that_is_none_is_told_apart(line: Any, code: str, param: str | None):
    seen = read(line)

    assert seen.body is None
    assert (seen.error.code, seen.error.param) == (code, param)


def test_a_bad_line_keeps_the_name_that_can_be_read():
    assert read({**CALL, "url": EDITS}).custom_id == "x"
    assert read({**CALL, "custom_id": 5}).custom_id is None


def test_a_line_without_a_model_has_the_batchs_or_the_usual_one():
    fox = {"prompt": "a fox", "custom_id": "x"}

    assert read(CALL).body["model"] == "usual"
    assert read(fox, endpoint=JOBS, model="its own").body["model"] == "its own"
    assert read({**fox, "model": "mine"}, endpoint=JOBS, model="its own").body == {
        "prompt": "a fox",
        "model": "mine",
    }


@pytest.mark.parametrize("endpoint", [JOBS, GENERATIONS])
def test_a_line_is_written_as_it_is_read(endpoint: str):
    body = {"model": "m", "prompt": "a fox"}

    seen = read(LINES.write("x", body, endpoint=endpoint), endpoint=endpoint)

    assert (seen.custom_id, seen.body) == ("x", body)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"stream": True}, "incompatible_options"),
        ({"partial_images": 2}, "incompatible_options"),
        ({"response_format": "b64_ephemeral"}, "invalid_enum"),
        ({"cache": True}, "unsupported_field"),
        ({"priority": "interactive"}, "unknown_field"),
    ],
)
@pytest.mark.parametrize("endpoint", [JOBS, GENERATIONS])
async def test_nobody_waits_for_a_line(body: dict[str, Any], code: str, endpoint: str):
    with pytest.raises(InvalidRequest) as refused:
        await drafted({"model": "m", "prompt": "a", **body}, endpoint=endpoint)

    assert refused.value.code in {code, "unknown_field"}


async def test_images_of_a_line_are_held_and_its_body_stays_as_it_is():
    link = "data:image/png;base64," + base64.b64encode(b"a picture").decode()
    body = {"model": "m", "prompt": "data: URLs", "images": [{"image_url": link}]}

    made = await drafted(body, endpoint=JOBS)

    [image] = made.uploads.images
    assert await image.held.read() == b"a picture"
    assert made.operation == "edit"
    assert body["images"] == [{"image_url": link}]


async def test_an_sdks_newer_name_for_the_user_wins():
    made = await drafted({"model": "m", "user": "old", "safety_identifier": "new"})

    assert made.draft.user == "new"
    assert made.operation == "generate"
    assert (await drafted({"model": "m"}, endpoint=EDITS)).operation == "edit"


names = st.sampled_from(
    ["model", "prompt", "n", "size", "image", "mask", "metadata", "custom_id", "x"]
)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner),
    max_leaves=5,
)
objects = st.dictionaries(names, values)


@given(st.binary(max_size=100) | objects.map(orjson.dumps))
def test_whatever_a_line_holds_is_read_or_refused_in_our_words(line: bytes):
    for endpoint in (JOBS, GENERATIONS):
        seen = read(line, endpoint=endpoint)

        assert (seen.body is None) == (seen.error is not None)


@given(objects)
async def test_whatever_a_body_says_is_drawn_or_refused_in_our_words(body):
    for endpoint in (JOBS, GENERATIONS, EDITS):
        with contextlib.suppress(InvalidRequest):
            await drafted(body, endpoint=endpoint)
