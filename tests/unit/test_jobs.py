"""Ids, states, and the stored form of requests."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.jobs import STEPS, JobState, is_job_id, new_job_id
from service.core.requests import GenerationRequest


def test_ids_are_distinct_and_of_one_form():
    ids = {new_job_id() for _ in range(1000)}

    assert len(ids) == 1000
    assert all(is_job_id(job_id) for job_id in ids)


@pytest.mark.parametrize(
    "text", ["", "job_", "job_" + "0" * 25, "job_" + "I" * 26, "../" + "0" * 27]
)
def test_other_texts_are_no_ids(text):
    assert not is_job_id(text)


def test_the_last_four_states_are_final():
    assert [state for state in JobState if state.is_final] == [
        JobState.SUCCEEDED,
        JobState.FAILED,
        JobState.CANCELED,
        JobState.EXPIRED,
    ]


def test_every_state_has_its_steps():
    assert set(STEPS) == set(JobState)


@given(
    prompt=st.text(min_size=1),
    n=st.integers(1, 10),
    seed=st.none() | st.integers(0, 2**63 - 1),
    quality=st.none() | st.sampled_from(["low", "high"]),
)
def test_a_request_is_read_as_it_was_written(prompt, n, seed, quality):
    request = GenerationRequest(
        model="test/test", prompt=prompt, n=n, seed=seed, quality=quality
    )

    assert GenerationRequest.from_record(request.to_record()) == request


def test_fields_of_a_newer_version_are_ignored():
    record = GenerationRequest(model="m", prompt="p").to_record()

    assert GenerationRequest.from_record({**record, "hue": 7}).model == "m"
