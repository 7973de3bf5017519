"""When another attempt is made, and when the job has failed."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.errors import (
    BadOutput,
    PromptRejected,
    ProviderAmbiguous,
    ProviderRefused,
    ProviderThrottled,
    ProviderUnavailable,
)
from service.core.retries import RetryPolicy

POLICY = RetryPolicy(max_attempts=4)


@given(attempts=st.integers(1, 10_000), dice=st.floats(0, 1, exclude_max=True))
def test_no_wait_is_longer_than_the_ceiling(attempts, dice):
    patient = RetryPolicy(max_attempts=20_000)

    wait = patient.wait_after(attempts, dice=dice)

    assert wait is not None
    assert timedelta(0) <= wait <= patient.ceiling


@pytest.mark.parametrize(("attempts", "most_s"), [(1, 2), (2, 4), (3, 8)])
def test_the_wait_doubles_and_is_jittered_in_full(attempts, most_s):
    assert POLICY.wait_after(attempts, dice=0.0) == timedelta(0)
    assert POLICY.wait_after(attempts, dice=0.5) == timedelta(seconds=most_s / 2)


def test_the_last_attempt_is_the_last():
    assert POLICY.wait_after(4, dice=0.5) is None


def test_throttling_waits_at_least_as_long_as_asked():
    asked = ProviderThrottled("busy", retry_after=timedelta(seconds=40))

    assert POLICY.wait_for(
        asked, 1, others=0, tried=0, costly=0, dice=0.9
    ) == timedelta(seconds=40)


def test_throttling_beyond_all_patience_gives_up():
    asked = ProviderThrottled("busy", retry_after=timedelta(days=2))

    assert POLICY.wait_for(asked, 1, others=0, tried=0, costly=0, dice=0.9) is None


def test_throttling_without_a_time_backs_off():
    unsaid = ProviderThrottled("busy")

    assert POLICY.wait_for(
        unsaid, 1, others=0, tried=0, costly=0, dice=0.5
    ) == timedelta(seconds=1)


@pytest.mark.parametrize(
    ("error", "routes", "tries"),
    [
        (PromptRejected("no"), 1, 1),
        (PromptRejected("no"), 3, 3),
        (ProviderRefused("no"), 1, 1),
        (ProviderRefused("no"), 3, 3),
        (ProviderRefused("no"), 9, 4),
        (BadOutput("none"), 1, 2),
        (BadOutput("none"), 3, 3),
        (ProviderAmbiguous("lost"), 1, 2),
        (ProviderUnavailable("down"), 1, 4),
    ],
)
def test_each_error_gets_as_many_attempts_as_it_is_worth(error, routes, tries):
    made = 1
    others = routes - 1
    while (
        POLICY.wait_for(
            error, made, others=others, tried=made - 1, costly=made, dice=0.5
        )
        is not None
    ):
        made += 1
        if isinstance(error, ProviderRefused | PromptRejected):
            others -= 1  # it is struck off

    assert made == tries


@pytest.mark.parametrize(("tried", "others", "waits"), [(0, 1, False), (1, 1, True)])
def test_each_other_route_is_tried_once_without_a_wait(tried, others, waits):
    error = ProviderUnavailable("down")

    wait = POLICY.wait_for(
        error, tried + 1, others=others, tried=tried, costly=0, dice=0.5
    )

    assert bool(wait) is waits
