"""Signed links: valid in one spelling, for one key, until one second."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core import signing
from service.core.errors import InvalidSignature, UrlExpired

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
SECRET = bytes(range(32))
KEY = "jobs/j1/1/0"
HOUR = timedelta(hours=1)
QUERY = signing.sign(KEY, expires_at=NOW + HOUR, secret=SECRET)

keys = st.from_regex(r"[a-z0-9]{1,8}(/[a-z0-9]{1,8}){0,3}", fullmatch=True)
lifetimes = st.timedeltas(min_value=timedelta(seconds=1), max_value=timedelta(days=7))
secrets = st.binary(min_size=32, max_size=32)


@given(keys, lifetimes, secrets)
def test_a_signed_url_reads_until_its_expiry_and_not_after(key, lifetime, secret):
    expires_at = (NOW + lifetime).replace(microsecond=0)
    query = signing.sign(key, expires_at=expires_at, secret=secret)

    signing.check(key, query, secret=secret, at=expires_at - timedelta(milliseconds=1))

    with pytest.raises(UrlExpired):
        signing.check(key, query, secret=secret, at=expires_at)


@given(st.data())
def test_every_character_of_a_signed_url_matters(data):
    url = f"{KEY}?{QUERY}"
    at = data.draw(st.integers(0, len(url) - 1))
    other = data.draw(st.characters(codec="utf-8").filter(lambda c: c != url[at]))
    key, _, query = (url[:at] + other + url[at + 1 :]).partition("?")

    with pytest.raises(InvalidSignature):
        signing.check(key, query, secret=SECRET, at=NOW)


@given(st.integers(0, len(QUERY)), st.text(min_size=1, max_size=5))
def test_nothing_can_be_put_into_a_signed_query(at, extra):
    query = QUERY[:at] + extra + QUERY[at:]

    with pytest.raises(InvalidSignature):
        signing.check(KEY, query, secret=SECRET, at=NOW)


EXP, KID, SIG = QUERY.split("&")


@pytest.mark.parametrize(
    "query",
    [
        "",
        f"{KID}&{EXP}&{SIG}",
        f"{EXP}&{EXP}&{KID}&{SIG}",
        f"{EXP}&{KID}&{SIG}&{SIG}",
        f"{EXP}&{KID}&{SIG}&",
        f"{EXP}&{KID}&{SIG}=",
        f"{EXP}&{KID}&{SIG}\n",
        f"{EXP}&{KID}&{SIG}&download=1",
        f"{EXP};{KID};{SIG}",
        f"exp=-1&{KID}&{SIG}",
        f"exp=+{EXP[4:]}&{KID}&{SIG}",
        f"exp=0{EXP[4:]}&{KID}&{SIG}",
        f"{EXP}.0&{KID}&{SIG}",
        f"exp=0x6921&{KID}&{SIG}",
        f"exp=1{'0' * 30}&{KID}&{SIG}",
        f"exp=%31{EXP[5:]}&{KID}&{SIG}",
        f"exp=\N{FULLWIDTH DIGIT ONE}{EXP[5:]}&{KID}&{SIG}",
        f"EXP={EXP[4:]}&{KID}&{SIG}",
    ],
)
def test_a_signed_query_has_one_spelling(query: str):
    with pytest.raises(InvalidSignature):
        signing.check(KEY, query, secret=SECRET, at=NOW)


def test_a_url_signed_with_another_secret_is_not_valid():
    query = signing.sign(KEY, expires_at=NOW + HOUR, secret=bytes(32))

    with pytest.raises(InvalidSignature):
        signing.check(KEY, query, secret=SECRET, at=NOW)


def test_an_expired_url_that_was_changed_is_invalid_rather_than_expired():
    with pytest.raises(InvalidSignature):
        signing.check("jobs/j2/1/0", QUERY, secret=SECRET, at=NOW + 2 * HOUR)
