"""Credentials that end: renewed early, off the loop, and never used to the end."""

import threading
from datetime import UTC, datetime, timedelta

import pytest
from botocore.credentials import Credentials, RefreshableCredentials

from service.core.errors import StoreUnavailable
from service.image_store.credentials import CredentialSource

HOUR = timedelta(hours=1)


class Role:
    """A metadata service: hands out numbered credentials, or is away."""

    def __init__(self, *, lasting: timedelta) -> None:
        self.lasting = lasting
        self.asked = 0
        self.away = False
        self.answering = threading.Event()
        self.answering.set()
        self.turned_away = threading.Event()

    def load(self) -> Credentials:
        return RefreshableCredentials.create_from_metadata(
            self.answer(), refresh_using=self.answer, method="role"
        )

    def answer(self) -> dict[str, str]:
        self.answering.wait()
        if self.away:
            self.turned_away.set()
            raise ConnectionError("metadata service away")
        self.asked += 1
        return {
            "access_key": f"key{self.asked}",
            "secret_key": "secret",
            "token": "token",
            "expiry_time": (datetime.now(UTC) + self.lasting).isoformat(),
        }


def test_credentials_that_last_are_fetched_once():
    role = Role(lasting=HOUR)
    source = CredentialSource(role.load)

    held = [source.now() for _ in range(3)]

    assert {h.frozen.access_key for h in held} == {"key1"}
    assert held[0].expires_at is not None
    assert role.asked == 1


async def test_credentials_about_to_end_are_replaced_before_use():
    role = Role(lasting=timedelta(seconds=30))
    source = CredentialSource(role.load)
    assert (await source.fresh()).frozen.access_key == "key2"

    role.lasting = HOUR

    assert (await source.fresh()).frozen.access_key == "key3"
    assert source.now().frozen.access_key == "key3"


def test_renewing_early_holds_nobody_up():
    role = Role(lasting=timedelta(minutes=12))
    source = CredentialSource(role.load)
    first = source.now().frozen.access_key
    role.lasting = HOUR
    role.answering.clear()

    during = [source.now().frozen.access_key for _ in range(3)]
    role.answering.set()
    after = eventually(source, other_than=first)

    assert during == [first] * 3
    assert after != first


def eventually(source: CredentialSource, *, other_than: str) -> str:
    """Return the access key once it is another one."""
    for _ in range(200):
        key = source.now().frozen.access_key
        if key != other_than:
            return key
        threading.Event().wait(0.01)
    return other_than


def test_credentials_that_still_last_are_used_while_the_role_is_away():
    role = Role(lasting=timedelta(minutes=5))
    source = CredentialSource(role.load)
    first = source.now()
    role.away = True

    assert source.now() == first
    assert role.turned_away.wait(timeout=10)
    assert source.now() == first


async def test_a_role_that_is_away_is_named_and_asked_again():
    role = Role(lasting=HOUR)
    source = CredentialSource(role.load)
    role.away = True

    with pytest.raises(StoreUnavailable, match="metadata service away"):
        await source.fresh()
    role.away = False

    assert (await source.fresh()).frozen.access_key == "key1"


def test_no_credentials_at_all_is_said_with_the_settings_to_use():
    with pytest.raises(StoreUnavailable, match="DARKROOM_STORAGE__ACCESS_KEY_ID"):
        CredentialSource(lambda: None).now()
