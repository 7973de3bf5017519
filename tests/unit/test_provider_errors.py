"""Statuses of upstreams, and how long they ask us to wait."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.errors import (
    BadOutput,
    ProviderAmbiguous,
    ProviderRefused,
    ProviderThrottled,
    ProviderUnavailable,
)
from service.outbound import Answer, NoAnswer, NotSent, WrongAnswer
from workers.providers._errors import outbound_errors, refusal, retry_after

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def answered(status: int, **headers: str) -> Answer:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(status, names, b"")


@pytest.mark.parametrize(
    ("status", "kind", "code"),
    [
        (302, ProviderRefused, "provider_invalid_request"),
        (400, ProviderRefused, "provider_invalid_request"),
        (401, ProviderRefused, "provider_auth"),
        (402, ProviderRefused, "provider_billing"),
        (403, ProviderRefused, "provider_auth"),
        (404, ProviderRefused, "provider_invalid_request"),
        (408, ProviderUnavailable, "provider_unavailable"),
        (422, ProviderRefused, "provider_invalid_request"),
        (424, ProviderUnavailable, "provider_unavailable"),
        (429, ProviderThrottled, "provider_throttled"),
        (500, ProviderUnavailable, "provider_unavailable"),
        (502, ProviderUnavailable, "provider_unavailable"),
        (503, ProviderUnavailable, "provider_unavailable"),
        (504, ProviderAmbiguous, "provider_ambiguous"),
        (524, ProviderAmbiguous, "provider_ambiguous"),
    ],
)
def test_a_status_becomes_what_the_engine_does_next(status, kind, code):
    error = refusal(answered(status), upstream_id="req_1")

    assert type(error) is kind
    assert (error.code, error.upstream_id) == (code, "req_1")


@pytest.mark.parametrize("status", [429, 503])
def test_an_upstream_that_names_a_time_is_throttling(status):
    error = refusal(answered(status, Retry_After="7"))

    assert isinstance(error, ProviderThrottled)
    assert error.retry_after == timedelta(seconds=7)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        ("7", 7),
        (" 7 ", 7),
        ("1.5", 1.5),
        ("9999", 9999),
        ("Sat, 21 Nov 2026 12:00:30 GMT", 30),
        ("Sat, 21 Nov 2026 11:00:00 GMT", None),
        ("Fri, 31 Dec 9999 23:59:59 -2359", None),
        ("", None),
        ("-1", None),
        ("soon", None),
        ("1e9", None),
        ("\u0667", None),
        ("9" * 400, None),
    ],
)
def test_the_wait_is_read_from_seconds_or_a_date(text, seconds):
    wait = retry_after(answered(429, Retry_After=text), now=NOW)

    assert wait == (None if seconds is None else timedelta(seconds=seconds))


@given(text=st.text(max_size=60))
def test_no_retry_after_breaks_us(text):
    wait = retry_after(answered(429, Retry_After=text), now=NOW)

    assert wait is None or wait >= timedelta(0)


@pytest.mark.parametrize(
    ("cause", "kind"),
    [
        (NotSent("x"), ProviderUnavailable),
        (NoAnswer("x"), ProviderAmbiguous),
        (WrongAnswer("x"), BadOutput),
    ],
)
def test_a_failed_call_becomes_what_we_know_of_the_money(cause, kind):
    with pytest.raises(kind), outbound_errors():
        raise cause
