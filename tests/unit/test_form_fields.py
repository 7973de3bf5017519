"""The text of a form, whatever its parts are called."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.api.form_fields import FormFields
from service.core.errors import InvalidRequest

names = st.text("ab[]", max_size=6) | st.text(max_size=9)


def filled(parts: list[tuple[str, bytes]]) -> dict:
    fields = FormFields(most_bytes=200)
    for name, text in parts:
        fields.begin(name)
        fields.more(text)
        fields.put()
    return fields.values


@given(st.lists(st.tuples(names, st.binary(max_size=40)), max_size=70))
def test_whatever_a_form_says_is_taken_or_refused_in_our_words(parts):
    with contextlib.suppress(InvalidRequest):
        assert len(filled(parts)) <= len(parts)


@given(st.dictionaries(st.text("abc", min_size=1), st.text(max_size=9), max_size=9))
def test_plain_fields_come_back(said):
    assert filled([(name, text.encode()) for name, text in said.items()]) == said


@pytest.mark.parametrize("name", ["a", "a[b]"])
def test_nothing_is_said_twice(name):
    with pytest.raises(InvalidRequest) as refused:
        filled([("a[b]", b"x"), (name, b"y")])

    assert refused.value.code == "duplicate_field"
