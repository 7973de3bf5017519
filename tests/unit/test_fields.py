"""What is wrong with a field is said so that its caller knows what to write."""

from typing import Any

import pytest

from service.api.jobs import JobDraft
from service.core.errors import InvalidRequest
from service.intake.fields import read_fields


@pytest.mark.parametrize(
    ("fields", "code", "sentence"),
    [
        ({"webhook": "https://x"}, "wrong_type", "webhook must be an object"),
        ({"webhook": {"url": 5}}, "wrong_type", "webhook.url must be text"),
        ({"cache": "yes"}, "wrong_type", "cache must be true or false"),
        ({"seed": "x"}, "wrong_type", "seed must be a whole number"),
        ({"seed": -5}, "out_of_range", "seed must be at least 0"),
        (
            {"output_compression": 500},
            "out_of_range",
            "output_compression must be at most 100",
        ),
        ({"max_cost": "x"}, "wrong_type", "max_cost must be a number"),
        ({"deadline_s": 0}, "out_of_range", "deadline_s must be at least 1"),
    ],
)
def test_what_a_field_must_be_is_said(fields: dict[str, Any], code: str, sentence: str):
    with pytest.raises(InvalidRequest) as refused:
        read_fields(JobDraft, {"model": "test/test", **fields})

    assert (refused.value.code, str(refused.value)) == (code, sentence)


def test_numbers_in_a_form_are_named_the_same_way():
    with pytest.raises(InvalidRequest, match=r"^seed must be a whole number$"):
        read_fields(JobDraft, {"model": "test/test", "seed": "x"}, text=True)
