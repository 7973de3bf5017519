"""Reading one JSON object, strictly."""

import contextlib

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.api.body import MOST_DEPTH, parse_object
from service.core.errors import InvalidRequest

SCALARS = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text()
JSON = st.recursive(
    SCALARS | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), JSON, max_size=4))
def test_every_honest_object_comes_back(value: dict):
    assert parse_object(orjson.dumps(value)) == value


@given(st.dictionaries(st.text(min_size=1), SCALARS, min_size=1), st.data())
def test_no_name_may_occur_twice(value: dict, data: st.DataObject):
    name = data.draw(st.sampled_from(sorted(value)))
    body = orjson.dumps(value)[:-1] + b"," + orjson.dumps({name: 1})[1:]

    with pytest.raises(InvalidRequest) as refusal:
        parse_object(body)

    assert refusal.value.code == "duplicate_key"


@pytest.mark.parametrize(
    "body",
    [b'{"a":{"b":1,"b":2}}', b'{"a":[{"b":1},{"b":1,"b":2}]}', b'{"a":1,"\\u0061":2}'],
)
def test_duplicates_are_found_wherever_they_hide(body: bytes):
    with pytest.raises(InvalidRequest) as refusal:
        parse_object(body)

    assert refusal.value.code == "duplicate_key"


def test_colons_in_strings_are_no_names():
    body = b'{"prompt":"a: b","metadata":{"x:y":"::"}}'

    assert parse_object(body)["metadata"] == {"x:y": "::"}


@pytest.mark.parametrize(("start", "end"), [(b"[", b"]"), (b'{"a":', b"}")])
@pytest.mark.parametrize("excess", [0, 1, 500, 2000])
def test_depth_has_a_limit(start: bytes, end: bytes, excess: int):
    below = MOST_DEPTH - 1 + excess
    body = b'{"a":' + start * below + b"1" + end * below + b"}"

    if not excess:
        assert parse_object(body)
        return
    with pytest.raises(InvalidRequest) as refusal:
        parse_object(body)

    assert refusal.value.code == "json_too_deep"


@given(st.binary(max_size=200))
def test_garbage_is_an_object_or_refused_in_our_words(body: bytes):
    with contextlib.suppress(InvalidRequest):
        assert isinstance(parse_object(body), dict)
